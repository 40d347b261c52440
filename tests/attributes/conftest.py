"""Hypothesis without deadlines: a busy machine is no defect of the code."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("attributes", deadline=None)
settings.load_profile("attributes")
