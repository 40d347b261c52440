"""Sentences of a report on their places in the film."""
