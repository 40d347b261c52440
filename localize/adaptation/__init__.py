"""Pseudo-label boxes from reports, and fine-tuning the detector on them."""
