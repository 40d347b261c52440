"""Training of the grounding network: its data, its text encoder, its loop."""
