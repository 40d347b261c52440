"""A page with each report beside its film."""
