"""The trained bundle and the example films that come with the package."""

from __future__ import annotations

from pathlib import Path

PACKAGED_BUNDLE = Path(__file__).parents[1] / "weights" / "open_lite0"
EXAMPLE_FILMS = Path(__file__).parents[1] / "examples"
