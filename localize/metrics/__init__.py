"""Localization, film-level and attribute metrics; exact definitions in `docs/metrics.md`."""
