"""Metrics of predictions against true boxes and labels, with intervals."""
