"""Grounding of a report in a volume with a trained network."""
