"""What lies in the package: a trained bundle, and a few films to try it on."""

from __future__ import annotations

from pathlib import Path

SHIPPED_BUNDLE = Path(__file__).parents[1] / "weights" / "open_lite0"
EXAMPLE_FILMS = Path(__file__).parents[1] / "examples"
