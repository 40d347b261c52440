"""Fine-tuning a detector for a new hospital with pseudo-labels from its reports."""
