"""Films and reports of the experiments."""
