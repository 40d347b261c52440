"""`thumbnails`: small JPEG pictures of films, without any of the files' metadata."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from data_manifests.films.read_film import read_film
from data_manifests.support.arrays import Floats32
from data_manifests.support.errors import DataError

LOGGER = logging.getLogger(__name__)
QUALITY = 82
THREADS = 2  # decoding releases the interpreter's lock


def film_jpeg(pixels: Floats32, longer_side: int) -> bytes:
    """JPEG of a film (H, W) in [0, 1], made smaller to `longer_side` pixels, never larger."""
    levels = (pixels.clip(0.0, 1.0) * 255.0).round().astype(np.uint8)
    image = Image.fromarray(levels)
    image.thumbnail((longer_side, longer_side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return buffer.getvalue()


def thumbnails(files: Sequence[Path | None], longer_side: int) -> Iterator[bytes | None]:
    """A JPEG of each film, in order; None where the file is not known or cannot be read."""

    def picture(file: Path | None) -> bytes | None:
        if file is None:
            return None
        try:
            return film_jpeg(read_film(file).pixels, longer_side)
        except DataError as error:
            LOGGER.warning("no picture: %s", error)
            return None

    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(picture, files)
