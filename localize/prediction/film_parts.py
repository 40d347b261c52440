"""`film_parts`: the tables of a prediction in parts of whole films, with a few films in memory.

`pneumoloc predict` writes the tables in film order: the rows of boxes and attributes follow the
films of the images. `survey` looks whether they do; `sort_tables` puts other tables in that order.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Hashable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from data_manifests.support.csv_file import csv_writer
from data_manifests.support.errors import DataError, Problem
from data_manifests.tables.columns import CORNERS
from localize.prediction.columns import OPTIONAL_COLUMNS
from localize.prediction.table_blocks import (
    MAX_PROBLEMS,
    TableBlock,
    table_blocks,
    table_file,
)

PART_FILMS = 10_000
BLOCK_ROWS = 20_000  # of boxes and attributes
OF_FILMS = ("boxes", "attributes")


@dataclass(frozen=True)
class TablesPart:
    """All rows of some films in a row; the index of each table counts the rows of its file."""

    images: pd.DataFrame
    boxes: pd.DataFrame
    attributes: pd.DataFrame


class NotInFilmOrder(Exception):
    """Rows of boxes or attributes do not follow the films of the images."""


def film_parts(folder: Path, *, is_whole: bool = False) -> Iterator[TablesPart]:
    """The tables in parts of some thousand films, or as one part whose rows have any order.

    Films without boxes or attributes are legal.

    Raises:
        DataError: a file or column is missing, text stands for a number, an id comes twice, a
            box is flipped, or one has an unknown film: all of these together, after the last
            part without a problem. An id that comes twice in different parts is not seen here
            but by `survey`.
        NotInFilmOrder: a film of boxes or attributes has no place; not where the part is whole.
    """
    films, rows = (None, None) if is_whole else (PART_FILMS, BLOCK_ROWS)
    boxes, attributes = (_RowsOfFilms(table_blocks(folder, name, rows)) for name in OF_FILMS)
    ids = pd.Index([], dtype="str")
    problems: list[Problem] = []
    image_file, box_file, attribute_file = (
        table_file(folder, name).name for name in ("images", *OF_FILMS)
    )
    for block in table_blocks(folder, "images", films):
        images = block.table
        images = images.assign(**{name: "" for name in OPTIONAL_COLUMNS if name not in images})
        ids = pd.Index(images["image_id"].unique())
        part = TablesPart(images, boxes.of(ids), attributes.of(ids))
        problems += [*block.problems, *boxes.problems(), *attributes.problems()]
        problems += _twice(image_file, images) + _twice(attribute_file, part.attributes)
        problems += _flipped(box_file, part.boxes)
        del problems[MAX_PROBLEMS:]
        if not problems:
            yield part
    for name, rest in zip((box_file, attribute_file), (boxes, attributes), strict=True):
        left = rest.left()
        if left is None:
            continue
        if not is_whole:
            raise NotInFilmOrder
        unknown = left[~left["image_id"].isin(set(ids))]
        problems += [_unknown_film(name, row, got) for row, got in unknown["image_id"].items()]
    if problems:
        raise DataError.from_problems(problems[:MAX_PROBLEMS])


def first_rows(folder: Path) -> TablesPart:
    """The first rows of each table, whatever their films; for the columns.

    Raises:
        DataError: a file or column is missing.
    """
    images, boxes, attributes = (
        next(table_blocks(folder, name, 1)).table for name in ("images", *OF_FILMS)
    )
    return TablesPart(images, boxes, attributes)


@dataclass(frozen=True)
class Survey:
    """Numbers of rows."""

    films: int
    boxes: int


def survey(folder: Path) -> Survey:
    """Look at all rows and count them.

    Raises:
        DataError: see `film_parts`.
        NotInFilmOrder: see `film_parts`.
    """
    hashes, boxes = [], 0
    for part in film_parts(folder):
        hashes.append(_hashes(part.images["image_id"]))
        boxes += len(part.boxes)
    seen = np.concatenate(hashes) if hashes else np.zeros(0, np.uint64)
    seen.sort()
    again = seen[1:][seen[1:] == seen[:-1]]
    if len(again):
        _raise_if_twice(folder, again)
    return Survey(len(seen), boxes)


def sort_tables(folder: Path, target: Path) -> None:
    """Write the tables of `folder` into the folder `target` in film order, sorted on disk.

    Raises:
        DataError: an unknown film, or one that comes twice; see also `table_blocks`.
    """
    images = table_file(folder, "images")
    (target / images.name).symlink_to(images.resolve())
    with closing(sqlite3.connect(target / "order.sqlite", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = OFF")  # nothing of it needs to survive a kill
        database.execute("CREATE TABLE images (film TEXT, place INTEGER)")
        for block in table_blocks(folder, "images", BLOCK_ROWS):
            places = zip(block.table["image_id"], block.table.index.tolist(), strict=True)
            _insert(database, "INSERT INTO images VALUES (?, ?)", places)
        database.execute("CREATE INDEX films ON images (film)")
        problems = [_twice_problem(images.name, *row) for row in database.execute(TWICE_IN_IMAGES)]
        for name in OF_FILMS:
            problems += _sort(database, folder, name, target)
    if problems:
        raise DataError.from_problems(problems[:MAX_PROBLEMS])
    (target / "order.sqlite").unlink()


TWICE_IN_IMAGES = (
    "SELECT place, film FROM images WHERE place NOT IN "
    "(SELECT MIN(place) FROM images GROUP BY film) ORDER BY place"
)
TWICE_IN_ROWS = (
    "SELECT place, film FROM rows WHERE place NOT IN "
    "(SELECT MIN(place) FROM rows GROUP BY film) ORDER BY place"
)
UNKNOWN = "SELECT place, film FROM rows WHERE film NOT IN (SELECT film FROM images) ORDER BY place"


def _insert(database: sqlite3.Connection, command: str, rows: Iterable[tuple[object, ...]]) -> None:
    database.execute("BEGIN")
    database.executemany(command, rows)
    database.execute("COMMIT")


def _sort(database: sqlite3.Connection, folder: Path, name: str, target: Path) -> list[Problem]:
    """Write the sorted `name`.csv; rows of one film keep their order."""
    database.execute("CREATE TABLE rows (film TEXT, place INTEGER, cells TEXT)")
    problems: list[Problem] = []
    header: list[str] = []
    for block in table_blocks(folder, name, BLOCK_ROWS):
        problems += block.problems
        header = [str(column) for column in block.table.columns]
        numbers = block.table.select_dtypes("number").columns
        cells = block.table.astype(dict.fromkeys(numbers, "object")).where(block.table.notna(), "")
        rows = zip(*(cells[column].tolist() for column in header), strict=True)
        _insert(
            database,
            "INSERT INTO rows VALUES (?, ?, ?)",
            (
                (cells[header.index("image_id")], place, json.dumps(cells))
                for place, cells in zip(block.table.index.tolist(), rows, strict=True)
            ),
        )
    file = table_file(folder, name).name
    problems += [_unknown_film(file, *row) for row in database.execute(UNKNOWN)]
    if name == "attributes":
        problems += [_twice_problem(file, *row) for row in database.execute(TWICE_IN_ROWS)]
    ordered = database.execute(
        "SELECT cells FROM rows JOIN images USING (film) ORDER BY images.place, rows.place"
    )
    with (target / f"{name}.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv_writer(handle)
        writer.writerow(header)
        writer.writerows(json.loads(cells) for (cells,) in ordered)
    database.execute("DROP TABLE rows")
    return problems


class _RowsOfFilms:
    """A table whose rows are taken film after film."""

    def __init__(self, blocks: Iterator[TableBlock]) -> None:
        self._blocks = blocks
        self._problems: list[Problem] = []
        self._rest = self._next()  # of the block that is being read

    def of(self, ids: pd.Index) -> pd.DataFrame:
        """The next rows, as long as they belong to one of these films."""
        taken = []
        while self._rest is not None:
            is_other = ids.get_indexer(pd.Index(self._rest["image_id"])) < 0
            count = int(is_other.argmax()) if is_other.any() else len(self._rest)
            taken.append(self._rest.iloc[:count])
            if count < len(self._rest):
                self._rest = self._rest.iloc[count:]
                break
            empty, self._rest = self._rest.iloc[:0], self._next()
            if self._rest is None:
                self._rest = empty
                break
        return taken[0] if len(taken) == 1 else pd.concat(taken)

    def left(self) -> pd.DataFrame | None:
        """The rows that no film took; None where there are none. Only the block being read."""
        return None if self._rest is None or self._rest.empty else self._rest

    def problems(self) -> list[Problem]:
        """Those of the blocks read since the last call."""
        found, self._problems = self._problems, []
        return found

    def _next(self) -> pd.DataFrame | None:
        block = next(self._blocks, None)
        if block is None:
            return None
        self._problems += block.problems
        return block.table


def _raise_if_twice(folder: Path, hashes: Iterable[int]) -> None:
    """Raise for ids that come twice among those with one of these hashes."""
    wanted, seen = set(hashes), set()
    problems = []
    for block in table_blocks(folder, "images", PART_FILMS):
        ids = block.table["image_id"]
        for row, image_id in ids[np.isin(_hashes(ids), list(wanted))].items():
            if image_id in seen:
                problems.append(_twice_problem(table_file(folder, "images").name, row, image_id))
            seen.add(image_id)
    if problems:
        raise DataError.from_problems(problems[:MAX_PROBLEMS])


def _hashes(ids: pd.Series) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    hashed: np.ndarray[tuple[int], np.dtype[np.uint64]] = pd.util.hash_array(
        ids.to_numpy(object), categorize=False
    )
    return hashed


def _twice(file: str, table: pd.DataFrame) -> list[Problem]:
    again = table["image_id"][table["image_id"].duplicated()]
    return [_twice_problem(file, row, image_id) for row, image_id in again.items()]


def _twice_problem(file: str, row: Hashable, image_id: str) -> Problem:
    return _problem(file, row, "image_id", "an id that no earlier row has", repr(image_id))


def _unknown_film(file: str, row: Hashable, image_id: str) -> Problem:
    return _problem(file, row, "image_id", "a film of images.csv", repr(image_id))


def _flipped(file: str, boxes: pd.DataFrame) -> list[Problem]:
    corners = boxes[list(CORNERS)].to_numpy(np.float64)
    flipped = np.flatnonzero(
        ~((corners[:, 0] < corners[:, 2]) & (corners[:, 1] < corners[:, 3]))
    ).tolist()
    field = ",".join(CORNERS)
    return [
        _problem(file, boxes.index[row], field, "x1 < x2, y1 < y2", str(corners[row].tolist()))
        for row in flipped
    ]


def _problem(file: str, row: Hashable, field: str, expected: str, got: str) -> Problem:
    """`row` counts from 0."""
    return Problem(file=file, row=int(str(row)) + 2, field=field, expected=expected, got=got)
