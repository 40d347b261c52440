"""A training run: its folder, checkpoints, processes, device and provenance."""
