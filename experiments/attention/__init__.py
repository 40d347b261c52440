"""The controlled experiment on gates: does the text move boxes while the detector is frozen?"""
