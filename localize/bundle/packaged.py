"""The trained bundles and the example films that come with the package."""

from __future__ import annotations

from pathlib import Path

WEIGHTS = Path(__file__).parents[1] / "weights"
PACKAGED_BUNDLE = WEIGHTS / "open_2"  # the default of every prediction
# The bundle of earlier versions. Phantom experiments start from its detector, so that their
# published numbers repeat.
FIRST_BUNDLE = WEIGHTS / "open_lite0"
EXAMPLE_FILMS = Path(__file__).parents[1] / "examples"
