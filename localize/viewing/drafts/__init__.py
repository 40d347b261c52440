"""Draft sentences for a person to check."""
