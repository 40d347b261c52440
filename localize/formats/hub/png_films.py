"""`with_png_films`: PNG copies of DICOM films, for tools that do not open DICOM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from data_manifests.films.read_film import DICOM_SUFFIXES, is_dicom, read_film
from data_manifests.support.atomic import atomic_path
from localize.formats.hub.annotations import Annotations, FilmAnnotation
from localize.formats.hub.film_names import SafeNames, film_file, split_suffix


def with_png_films(annotations: Annotations, folder: Path, image_root: Path | None) -> Annotations:
    """Write an 8-bit PNG of each DICOM film into `folder`, and name the film by it.

    The picture is the film as `read_film` shows it, without any of the file's text.

    Raises:
        DataError: a film cannot be read.
    """
    names = {}
    safe = SafeNames(annotations.film_names())
    for film in annotations:
        if not is_dicom_film(film, image_root):
            continue
        names[film.name] = f"{safe.of(film.name)}.png"
        pixels = read_film(film_file(film.name, film.path, image_root)).pixels
        levels = np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)
        with atomic_path(folder / names[film.name]) as temporary:
            Image.fromarray(levels).save(temporary, "PNG")

    def films() -> Iterator[FilmAnnotation]:
        for film in annotations:
            if film.name not in names:
                yield film
                continue
            name = names[film.name]
            yield replace(film, name=name, path=str(folder / name))

    return replace(annotations, films=films, names=None)


def is_dicom_film(film: FilmAnnotation, image_root: Path | None) -> bool:
    """Whether a film is a DICOM file: by its ending; without one by the file, if it is there."""
    suffix = split_suffix(film.name)[1].lower()
    if suffix:
        return suffix in DICOM_SUFFIXES
    path = Path(film.path or film.name) if image_root is None else image_root / film.name
    try:
        return is_dicom(path)
    except (OSError, ValueError):
        return False
