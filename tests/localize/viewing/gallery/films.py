"""Small films on disk for the tests of the pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 512  # as in tests/localize/predictions.py


def save_films(folder: Path, names) -> dict[str, Path]:
    """A grey ramp for each name; file names are numbers, so that names may be anything."""
    folder.mkdir(parents=True, exist_ok=True)
    ramp = np.tile(np.linspace(0, 255, SIDE).astype(np.uint8), (SIDE, 1))
    films = {}
    for place, name in enumerate(names):
        path = folder / f"{place}.png"
        Image.fromarray(ramp).save(path)
        films[name] = path
    return films
