"""`find_films`: the films below a folder, known by their ending or, DICOM, by their first bytes."""

from __future__ import annotations

import os
from pathlib import Path

from data_manifests.films.read_film import FILM_SUFFIXES, has_dicom_preamble

INDEX_FILE = "DICOMDIR"  # the table of contents of a disc has the preamble, too


def find_films(folder: Path) -> list[Path]:
    """Every film below `folder`, sorted by path.

    Archives name DICOM files without an ending, or by their UID. Hidden files are left out: macOS
    puts a `._film.jpg` that is no film beside each film on a foreign disc.
    """
    found = []
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(here, name) for name in names if _is_film(Path(here, name))]
    return sorted(found)


def _is_film(path: Path) -> bool:
    if path.name.startswith(".") or path.name == INDEX_FILE:
        return False
    if path.suffix.lower() in FILM_SUFFIXES:
        return path.is_file()
    try:
        return path.is_file() and has_dicom_preamble(path)
    except OSError:  # not ours to read
        return False


def film_stem(name: str) -> str:
    """The name of a film file without its ending; of one without a known ending the whole name.

    >>> film_stem("chest.001.png"), film_stem("1.2.840.10008.7")
    ('chest.001', '1.2.840.10008.7')
    """
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in FILM_SUFFIXES else name


def readable_name(name: str) -> str:
    r"""A file name as text that tables can hold: bytes that are not UTF-8 become `\xe4`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
