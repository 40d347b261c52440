"""Tables and settings of the experiments."""
