"""Scores of a trained grounding network on marked anomalies."""
