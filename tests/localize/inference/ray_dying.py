"""A worker of a Ray cluster that dies once."""

from __future__ import annotations

import os
from pathlib import Path

from localize.inference.ray_engine import BlockPredictor


class DiesOnce(BlockPredictor):
    """Its process ends at the block of `film4`, the first time; a file remembers that it did."""

    def __call__(self, task):
        marker = Path(os.environ["PNEUMOLOC_TEST_MARKER"])
        if "film4" in str(task["films"][0]) and not marker.exists():
            marker.touch()
            os._exit(1)
        return super().__call__(task)
