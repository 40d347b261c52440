"""The submission file of the RSNA Pneumonia Detection Challenge: `patientId,PredictionString`.

Each string repeats `confidence x y width height`, in a film of 1024 x 1024 px, empty for no box.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from data_manifests.support.atomic import atomic_path
from data_manifests.support.csv_file import csv_writer
from data_manifests.support.errors import DataError, Problem
from localize.formats.hub.annotations import DEFAULT_LABEL, Annotations
from localize.formats.hub.film_names import repeated_names, split_suffix
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.imported_film import ImportedBox, ImportedFilm, SizeOf
from localize.formats.hub.reading import file_error

SIDE = 1024  # of every film of the challenge
COLUMNS = ("patientId", "PredictionString")


def write_rsna_csv(annotations: Annotations, target: Path, options: FormatOptions) -> None:
    """Write one row for each film; `patientId` is its file name without extension.

    Both axes are scaled to 1024 px, which keeps the shape of square films, as the challenge's are.

    Raises:
        DataError: a box without a score, or two films of one name in different folders.
    """
    twice = repeated_names(lambda: map(_patient, annotations.film_names()))
    with (
        atomic_path(target) as temporary,
        temporary.open("w", encoding="utf-8", errors="replace", newline="") as handle,
    ):
        writer = csv_writer(handle)
        writer.writerow(COLUMNS)
        for film in annotations:
            patient = _patient(film.name)
            if patient in twice:
                raise _error("each file name once", repr(patient))
            if not np.isfinite(film.scores).all():
                raise _error("a score for each box", f"none on {film.name!r}")
            scale = np.array([SIDE / film.width, SIDE / film.height] * 2)
            x1, y1, x2, y2 = (film.xyxy * scale).T
            rows = np.stack([film.scores, x1, y1, x2 - x1, y2 - y1], axis=1)
            writer.writerow([patient, " ".join(f"{value:.10g}" for value in rows.ravel())])


def read_rsna_csv(path: Path, size_of: SizeOf) -> list[ImportedFilm]:
    """Read a submission.

    Args:
        path: the CSV file.
        size_of: the size of the film of a `patientId`, as boxes are on a film of 1024 x 1024 px.

    Raises:
        DataError: another header, strings that are no boxes, or a film of unknown size.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            rows = list(csv.reader(handle))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise file_error(path, "a CSV file", str(error)) from error
    if not rows or tuple(rows[0]) != COLUMNS:
        raise file_error(path, f"the header {','.join(COLUMNS)}", ",".join(rows[0] if rows else []))
    films, problems = [], []
    for line, row in enumerate(rows[1:], start=2):
        try:
            numbers = np.array([float(cell) for cell in row[1].split()]).reshape(-1, 5)
            if not np.isfinite(numbers).all():
                raise ValueError("not finite")
        except (ValueError, IndexError):
            got = f"{row[1:2]!r:.80}"
            expected = "confidence x y width height, repeated"
            problems.append(Problem(str(path), expected, got, line, COLUMNS[1]))
            continue
        try:
            width, height = size_of(row[0])
        except DataError as error:
            problems += error.problems
            continue
        low, high = numbers[:, 1:3], numbers[:, 1:3] + numbers[:, 3:5]
        corners = np.concatenate([low, high], axis=1) * (np.array([width, height] * 2) / SIDE)
        boxes = tuple(
            ImportedBox((x1, y1, x2, y2), DEFAULT_LABEL, score)
            for (x1, y1, x2, y2), score in zip(
                corners.tolist(), numbers[:, 0].tolist(), strict=True
            )
        )
        films.append(ImportedFilm(row[0], boxes, (width, height)))
    if problems:
        raise DataError.from_problems(problems)
    return films


def _patient(name: str) -> str:
    return split_suffix(name.rsplit("/", 1)[-1])[0]


def _error(expected: str, got: str) -> DataError:
    return DataError.from_problems([Problem("films", expected, got)])
