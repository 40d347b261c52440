"""What the command line names as films: files, folders, or a manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from data_manifests.films.read_film import FILM_SUFFIXES
from data_manifests.support.errors import DataError
from data_manifests.tables.manifest import read_manifest
from localize.prediction.predict_films import FilmToPredict, film_list, manifest_films
from localize.prediction.tables import DESCRIPTION


def is_manifest(path: Path) -> bool:
    """Whether a path is a manifest folder; a prediction has an images.csv, too."""
    has_table = (path / "images.csv").is_file() or (path / "images.parquet").is_file()
    return has_table and not (path / DESCRIPTION).is_file()


def films_to_predict(inputs: Sequence[Path], split: str) -> list[FilmToPredict]:
    """Films of one manifest (or one of its splits), or of files and folders.

    Raises:
        DataError: a path does not exist, a folder has no film, or `split` without a manifest.
    """
    if len(inputs) == 1 and is_manifest(inputs[0]):
        manifest = read_manifest(inputs[0], tables=("images",))  # reports are not even opened
        return manifest_films(manifest.split(split) if split else manifest)
    if split:
        raise DataError("--split: expected one manifest folder, got films or several folders")
    return film_list(inputs, FILM_SUFFIXES)


def film_source(path: Path) -> Mapping[str, Path]:
    """Film file of each `path` column value of a prediction that was made from this place.

    Raises:
        DataError: not a manifest or a folder of films.
    """
    films = films_to_predict([path], "")
    return {film.image_id: film.file for film in films}
