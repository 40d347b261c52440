"""Where the file of a film lies, for the formats that need to look at it."""

from __future__ import annotations

from pathlib import Path

from data_manifests.support.errors import DataError, Problem
from localize.formats.hub.annotations import FilmAnnotation


def source_file(film: FilmAnnotation, image_root: Path | None) -> Path:
    """`image_root` / name where a root is given, else the path that the prediction was made from.

    Raises:
        DataError: there is no such file.
    """
    path = Path(film.path or film.name) if image_root is None else image_root / film.name
    if not path.is_file():
        raise DataError.from_problems(
            [
                Problem(
                    "films",
                    f"the file of film {film.image_id or film.name!r}",
                    "no such file",
                    fix="give the folder of the films (--image-root)",
                )
            ]
        )
    return path
