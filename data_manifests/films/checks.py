"""`film_problems`: the film files of a manifest: missing, damaged, of another size, repeated."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from data_manifests.films.duplicates import duplicate_contents
from data_manifests.films.paths import locate_films
from data_manifests.films.read_film import Film, read_film
from data_manifests.support.atomic import file_sha256
from data_manifests.support.errors import DataError, Problem
from data_manifests.support.progress_bar import progress_bar

MISSING_SHOWN = 1000  # a wrong image root makes every film missing


@dataclass(frozen=True)
class FilmFacts:
    """What decoding one film showed: its size, checksums and notes, or the problem."""

    width: int = 0
    height: int = 0
    file_digest: str = ""
    pixel_digest: str = ""
    notes: tuple[str, ...] = ()
    problem: Problem | None = None


def film_problems(
    images: pd.DataFrame, root: Path, *, read_films: bool
) -> tuple[list[Problem], list[Problem]]:
    """Problems and notes of the film files below `root`, one row of `images` each."""
    if not root.is_dir():
        problem = Problem(
            file="manifest.json",
            field="image_root",
            expected="the folder of the films",
            got=f"{root}: no such folder",
            fix="give --image-root, or correct it",
        )
        return [problem], []
    located = locate_films(root, images["path"])
    problems = list(located.problems)
    missing = np.flatnonzero(~np.array(located.is_file, dtype=bool))
    outside = {problem.row for problem in problems}
    missing_rows = [int(row) for row in missing if int(row) + 2 not in outside]
    problems += _missing(images, missing_rows)
    if not read_films:
        return problems, []
    rows = [row for row, exists in enumerate(located.is_file) if exists]
    facts = _read_all([located.paths[row] for row in rows])
    read, noted = _compare(images, rows, facts)
    problems += read
    digests = [""] * len(images)
    for row, fact in zip(rows, facts, strict=True):
        digests[row] = fact.pixel_digest
    digest = pd.Series(digests, index=images.index, dtype="str")
    repeated, harmless = duplicate_contents(images, digest, "path", "film")
    return problems + repeated, noted + harmless


def pixel_sha256(film: Film) -> str:
    """SHA-256 of a film's size and its grey levels at 16 bits.

    The same film stored as 8-bit PNG, 16-bit PNG or DICOM has the same digest.
    """
    levels = np.round(film.pixels * 65535).astype("<u2")
    digest = hashlib.sha256(f"{film.width}x{film.height}".encode())
    digest.update(np.ascontiguousarray(levels).tobytes())
    return digest.hexdigest()


def _missing(images: pd.DataFrame, rows: Sequence[int]) -> list[Problem]:
    shown = [
        Problem(
            file="images.csv",
            row=row + 2,
            field="path",
            expected="a film file",
            got=f"{images['path'].iloc[row][:200]!r}: no such file",
            fix="copy the film, drop the row, or give --image-root",
        )
        for row in rows[:MISSING_SHOWN]
    ]
    if len(rows) > MISSING_SHOWN:
        more = f"{len(rows) - MISSING_SHOWN} more films are missing"
        shown.append(Problem(file="images.csv", field="path", expected="film files", got=more))
    return shown


def _read_all(paths: Sequence[Path]) -> list[FilmFacts]:
    """Decode films with as many threads as there are cores; decoders release the lock."""
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        results: Iterable[FilmFacts] = pool.map(_read_one, paths)
        return list(progress_bar(results, total=len(paths), desc="films", unit="film"))


def _read_one(path: Path) -> FilmFacts:
    try:
        film = read_film(path)
        file_digest = file_sha256(path)
    except DataError as error:
        return FilmFacts(problem=error.problems[0])
    except OSError as error:
        got = error.strerror or type(error).__name__
        return FilmFacts(problem=Problem(path.name, "a readable film", got))
    return FilmFacts(film.width, film.height, file_digest, pixel_sha256(film), film.notes)


def _compare(
    images: pd.DataFrame, rows: Sequence[int], facts: Sequence[FilmFacts]
) -> tuple[list[Problem], list[Problem]]:
    """What the manifest says about each film against what its file says."""
    problems, notes = [], []
    widths, heights = images["width"].to_numpy(float), images["height"].to_numpy(float)
    for row, fact in zip(rows, facts, strict=True):
        path, line = images["path"].iloc[row], row + 2
        if fact.problem is not None:
            bad = fact.problem
            field = bad.field or "path"
            got = f"{path[:200]}: {bad.got}"
            problems.append(Problem("images.csv", bad.expected, got, line, field, bad.fix))
            continue
        size = (widths[row], heights[row])
        if np.isfinite(size).all() and size != (fact.width, fact.height):
            problems.append(
                Problem(
                    file="images.csv",
                    row=line,
                    field="width,height",
                    expected=f"the size of {path[:200]}, {fact.width} x {fact.height}",
                    got=f"{size[0]:g} x {size[1]:g}",
                    fix="the boxes may be in another frame: build the manifest anew",
                )
            )
        declared = images["sha256"].iloc[row]
        if declared and declared.lower() != fact.file_digest:
            problems.append(
                Problem(
                    file="images.csv",
                    row=line,
                    field="sha256",
                    expected=f"{declared[:16]}...",
                    got=f"{fact.file_digest[:16]}... for {path[:200]}",
                    fix="the file changed after the manifest was built",
                )
            )
        notes += [
            Problem("images.csv", "an ordinary film", f"{path[:200]}: {note}", line, "path")
            for note in fact.notes
        ]
    return problems, notes
