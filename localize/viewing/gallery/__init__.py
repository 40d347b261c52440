"""A self-contained page of predicted films."""
