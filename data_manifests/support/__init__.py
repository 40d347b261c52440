"""Atomic files, errors, settings, progress bars and array types, used by every package."""
