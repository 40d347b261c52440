"""Phantom films whose report names each finding, with the boxes of every mention."""
