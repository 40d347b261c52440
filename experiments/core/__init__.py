"""Runs of experiments and what they share."""
