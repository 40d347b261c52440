"""Severity scores: fitting, cross-validation, intervals."""
