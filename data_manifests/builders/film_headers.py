"""`film_headers`: size, view and checksum of every film of a data set, or why it is unusable."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from data_manifests.films.read_film import film_size, is_dicom, read_film
from data_manifests.support.atomic import file_sha256
from data_manifests.support.errors import DataError, Problem
from data_manifests.support.progress_bar import progress_bar

THREADS = 8  # waiting for disks and network shares, not for cores


@dataclass(frozen=True)
class FilmHeader:
    """What the file of one film says; `view`, `sex`, `age`, `notes` only where it is DICOM."""

    width: int = 0
    height: int = 0
    view: str = ""
    sex: str = ""
    age: str = ""
    sha256: str = ""
    notes: tuple[str, ...] = ()
    problem: Problem | None = None


def film_headers(
    images: pd.DataFrame, root: Path, *, read_films: bool, checksums: bool
) -> list[FilmHeader]:
    """The header of each row of `images` (`image_id`, and `path` below `root`).

    A blank `path` is a missing film, a list of them an ambiguous one. `read_films` decodes the
    whole film, `checksums` computes its SHA-256.
    """

    def look(item: tuple[str | Sequence[str], str]) -> FilmHeader:
        path, image_id = item
        if not isinstance(path, str) or not path:
            got = f"{image_id}: no film" if not path else f"{image_id}: {', '.join(path[:3])}"
            fix = f"copy it below {root}, or --on-error skip"
            return FilmHeader(problem=Problem("images.csv", "one film", got, fix=fix))
        try:
            return _film_header(root / path, read_films, checksums)
        except DataError as error:
            bad = error.problems[0]
            got = f"{path}: {bad.got}"
            problem = Problem("images.csv", bad.expected, got, field=bad.field, fix=bad.fix)
            return FilmHeader(problem=problem)

    items = list(zip(images["path"], images["image_id"], strict=True))
    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        return list(
            progress_bar(pool.map(look, items), total=len(items), desc="films", unit="film")
        )


def _film_header(film: Path, read_films: bool, checksums: bool) -> FilmHeader:
    view = sex = age = ""
    notes: tuple[str, ...] = ()
    if film.is_file() and film.stat().st_size and is_dicom(film):
        from data_manifests.films.dicom import dicom_header  # pydicom takes 0.2 s to import

        header = dicom_header(film)
        width, height = header.width, header.height
        view, sex, age, notes = header.view, header.sex, header.age, header.notes
    else:
        width, height = film_size(film)
    if read_films:
        read_film(film)
    digest = file_sha256(film) if checksums else ""
    return FilmHeader(width, height, view, sex, age, digest, notes)
