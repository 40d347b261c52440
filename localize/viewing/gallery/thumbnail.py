"""`thumbnails`: small JPEG pictures of films, without any of the files' metadata."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from data_manifests.films.read_film import read_film
from data_manifests.support.errors import DataError
from localize.prediction.drawing import film_jpeg

LOGGER = logging.getLogger(__name__)
THREADS = 2  # decoding releases the interpreter's lock


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
