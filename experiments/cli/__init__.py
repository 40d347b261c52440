"""The `experiment` commands."""
