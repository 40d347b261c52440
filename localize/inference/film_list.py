"""`FilmToPredict`: the films that a user names as files, folders or a manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from data_manifests.films.find_films import film_stem, find_films, readable_name
from data_manifests.films.paths import locate_films
from data_manifests.films.read_film import FILM_SUFFIXES
from data_manifests.support.errors import DataError, Problem
from data_manifests.tables.manifest import Manifest, read_manifest
from localize.prediction.tables import DESCRIPTION


@dataclass(frozen=True)
class FilmToPredict:
    """One film: its id in the output, its file, the path that the output shows, and the SHA-256
    that a manifest gives (blank where it gives none)."""

    image_id: str
    file: Path
    path: str
    sha256: str = ""


def films_to_predict(inputs: Sequence[Path], split: str = "") -> list[FilmToPredict]:
    """Films of one manifest (or of one of its splits), or of files and folders.

    Raises:
        DataError: a path does not exist, a folder has no film, or `split` without a manifest.
    """
    if len(inputs) == 1 and is_manifest(inputs[0]):
        manifest = read_manifest(inputs[0], tables=("images",))  # reports are not even opened
        return manifest_films(manifest.split(split) if split else manifest)
    if split:
        raise DataError("--split: expected one manifest folder, got films or several folders")
    return film_list(inputs)


def is_manifest(path: Path) -> bool:
    """Whether a path is a manifest folder; a prediction folder has an images.csv, too."""
    has_table = (path / "images.csv").is_file() or (path / "images.parquet").is_file()
    return has_table and not (path / DESCRIPTION).is_file()


def film_files(path: Path) -> Mapping[str, Path]:
    """image_id -> film file, for a manifest or a folder of films.

    Raises:
        DataError: neither of the two.
    """
    return {film.image_id: film.file for film in films_to_predict([path])}


class ManifestFiles(Mapping[str, Path]):
    """image_id -> film file of a manifest; a path is made where it is asked for.

    Raises:
        DataError: see `Manifest.film_paths`.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest

    def __getitem__(self, image_id: str) -> Path:
        ids = self._manifest.images["image_id"]
        row = (ids == image_id).to_numpy(bool)  # a millisecond a million films, and no index
        if not row.any():
            raise KeyError(image_id)
        located = locate_films(self._manifest.root, self._manifest.images["path"][row])
        if located.problems:
            raise DataError.from_problems(located.problems)
        return located.paths[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._manifest.images["image_id"])

    def __len__(self) -> int:
        return len(self._manifest.images)


def manifest_films(manifest: Manifest) -> list[FilmToPredict]:
    """The films of a manifest, under their own ids."""
    return [
        FilmToPredict(image_id, file, path, sha256)
        for image_id, file, path, sha256 in zip(
            manifest.images["image_id"],
            manifest.film_paths(),
            manifest.images["path"],
            manifest.images["sha256"],
            strict=True,
        )
    ]


def film_list(inputs: Sequence[Path]) -> list[FilmToPredict]:
    """Files as they are, and all films below the folders.

    The id is the file's name without its extension. Where two films share one, it is the path below
    the folder without its extension.

    Raises:
        DataError: a path does not exist, a folder has no film, or two films have the same id.
    """
    found: list[tuple[Path, str]] = []
    problems = []
    for given in inputs:
        if given.is_dir():
            below = find_films(given)
            found += [(path, readable_name(path.relative_to(given).as_posix())) for path in below]
            if not below:
                problems.append(
                    Problem(str(given), expected=f"films ({', '.join(FILM_SUFFIXES)})", got="none")
                )
        elif given.is_file():
            found.append((given, readable_name(given.name)))
        else:
            problems.append(Problem(str(given), expected="a film or a folder", got="no such path"))
    if problems:
        raise DataError.from_problems(problems)
    stems = pd.Series([film_stem(Path(shown).name) for _, shown in found], dtype="str")
    is_shared = stems.duplicated(keep=False)
    films = [
        FilmToPredict(
            image_id=film_stem(shown) if shared else stem,
            file=path,
            path=shown,
        )
        for (path, shown), stem, shared in zip(found, stems, is_shared, strict=True)
    ]
    ids = pd.Series([film.image_id for film in films], dtype="str")
    if ids.duplicated().any():
        twice = str(ids[ids.duplicated()].iloc[0])
        first, second, *_ = (film.path for film in films if film.image_id == twice)
        raise DataError(
            f"films: expected different names, got {first!r} and {second!r}, both with the id "
            f"{twice!r}; rename one, or predict the folders one by one"
        )
    return films
