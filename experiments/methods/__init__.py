"""The methods and baselines of the tables."""
