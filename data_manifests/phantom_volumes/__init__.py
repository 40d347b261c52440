"""Phantom chest volumes: seeded CT-like volumes with planted anomalies and their reports."""
