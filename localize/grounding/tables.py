"""The folder of `pneumoloc ground`: `groundings.csv`, `images.csv`, `grounding.json`."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from data_manifests.support.arrays import Floats
from data_manifests.support.atomic import write_json
from data_manifests.support.csv_file import csv_writer
from data_manifests.support.errors import DataError, Problem
from localize.grounding.report_grounding import GroundedSentence, ReportGrounding

FORMAT_VERSION = 1
GROUNDINGS, IMAGES, DESCRIPTION = "groundings.csv", "images.csv", "grounding.json"
COLUMNS = (
    "study_id",
    "image_id",
    "section",
    "sentence",
    "start",
    "end",
    "finding",
    "words",
    "words_start",
    "words_end",
    "assertion",
    "attributes",
    "x1",
    "y1",
    "x2",
    "y2",
    "score",
    "method",
    "why_none",
)
IMAGE_COLUMNS = ("study_id", "image_id", "path", "width", "height", "status", "error")
MAX_FIELD = 1 << 27  # characters of a cell: a report without a full stop is one sentence


@dataclass
class GroundingCounts:
    """What was written: films (`read`: readable, with a report), rows, boxes, skipped films, and
    rows without a box by their reason."""

    films: int = 0
    read: int = 0
    sentences: int = 0
    boxes: int = 0
    skipped: int = 0
    why_none: dict[str, int] = field(default_factory=dict)

    def add(self, grounding: ReportGrounding) -> None:
        """Count a report."""
        self.films += 1
        has_report = all(one.why_none != "no report" for one in grounding.sentences)
        self.read += has_report and grounding.width > 0
        self.sentences += len(grounding.sentences)
        for one in grounding.sentences:
            self.boxes += len(one)
            if one.why_none:
                self.why_none[one.why_none] = self.why_none.get(one.why_none, 0) + 1


class GroundingWriter:
    """Writes groundings one after another into a folder; memory does not grow.

    Use as a context; `finish` writes `grounding.json`, without which the folder is unfinished.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.counts = GroundingCounts()

    def __enter__(self) -> GroundingWriter:
        self._folder.mkdir(parents=True, exist_ok=True)
        options = {"encoding": "utf-8", "errors": "replace", "newline": ""}
        self._rows = (self._folder / GROUNDINGS).open("w", **options)  # type: ignore[call-overload]
        self._images = (self._folder / IMAGES).open("w", **options)  # type: ignore[call-overload]
        self._row_writer, self._image_writer = csv_writer(self._rows), csv_writer(self._images)
        self._row_writer.writerow(COLUMNS)
        self._image_writer.writerow(IMAGE_COLUMNS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._rows.close()
        self._images.close()

    def write(self, grounding: ReportGrounding, *, error: str = "") -> None:
        """Add a report; `error` says why its film could not be read."""
        head = [grounding.study_id, grounding.image_id]
        for one in grounding.sentences:
            for row in _rows(one):
                self._row_writer.writerow([*head, *row])
        size = [grounding.width or "", grounding.height or ""]
        status = "skipped" if error else "ok" if grounding.width else "no film"
        self._image_writer.writerow([*head, grounding.path, *size, status, error])
        self.counts.add(grounding)
        self.counts.skipped += bool(error)

    def finish(self, info: Mapping[str, Any]) -> None:
        """Write `grounding.json`; Any: whatever JSON holds."""
        counts = self.counts
        content = {
            **info,
            "format_version": FORMAT_VERSION,
            "films": counts.films,
            "skipped": counts.skipped,
            "rows": counts.sentences,
            "boxes": counts.boxes,
            "why_none": dict(sorted(counts.why_none.items())),
        }
        write_json(self._folder / DESCRIPTION, content)


def _rows(one: GroundedSentence) -> Iterator[list[object]]:
    head: list[object] = [one.section, one.sentence, one.start, one.end, one.finding, one.words]
    head += [one.words_start, one.words_end] if one.finding else ["", ""]
    head += [one.assertion, ";".join(one.attributes)]
    if not len(one):
        yield [*head, "", "", "", "", "", "", one.why_none]
    for box, score, method in zip(one.xyxy.tolist(), one.scores.tolist(), one.methods, strict=True):
        yield [*head, *(round(edge, 2) for edge in box), round(score, 4), method, ""]


def read_info(folder: Path) -> dict[str, Any]:
    """`grounding.json` of a finished folder; Any: whatever JSON holds.

    Raises:
        DataError: there is none, or it is damaged.
    """
    path = folder / DESCRIPTION
    try:
        content = json.loads(path.read_text("utf-8"))
        if content["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format_version {content['format_version']!r}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        expected = f"a finished folder of `pneumoloc ground`, format_version {FORMAT_VERSION}"
        raise DataError.from_problems([Problem(str(path), expected, str(error)[:200])]) from error
    return dict(content)


def read_groundings(folder: Path) -> Iterator[ReportGrounding]:
    """The groundings of a folder, in order, one in memory; films that were skipped included.

    Raises:
        DataError: the folder is unfinished, a table is missing or damaged, a number is no number,
            or a box lies outside its film.
    """
    folder = Path(folder)
    read_info(folder)
    rows = _read_table(folder / GROUNDINGS, COLUMNS)
    by_film = groupby(rows, key=lambda row: (row[1]["study_id"], row[1]["image_id"]))
    pending = next(by_film, None)
    for number, image in _read_table(folder / IMAGES, IMAGE_COLUMNS):
        own = list[tuple[int, dict[str, str]]]()
        if pending is not None and pending[0] == (image["study_id"], image["image_id"]):
            own = list(pending[1])
            pending = next(by_film, None)
        try:
            yield ReportGrounding(
                image["study_id"],
                image["image_id"],
                image["path"],
                int(image["width"] or 0),
                int(image["height"] or 0),
                tuple(_sentences(own)),
            )
        except ValueError as error:
            where = f"{folder / IMAGES} row {number}"
            expected = "a film's size, and boxes inside it with scores from 0 to 1"
            raise DataError.from_problems([Problem(where, expected, str(error))]) from error
    if pending is not None:
        first = next(iter(pending[1]))
        problem = Problem(
            str(folder / GROUNDINGS),
            "the films of images.csv in their order",
            repr(pending[0][1]),
            row=first[0],
            field="image_id",
        )
        raise DataError.from_problems([problem])


def _sentences(rows: list[tuple[int, dict[str, str]]]) -> Iterator[GroundedSentence]:
    """The rows of one film; those of one finding differ in their box alone."""
    same = ("section", "start", "end", "finding", "words_start", "attributes", "why_none")
    for _, group in groupby(rows, key=lambda row: [row[1][name] for name in same]):
        listed = [row for _, row in group]
        first = listed[0]
        boxes = [row for row in listed if not row["why_none"]]
        yield GroundedSentence(
            section=first["section"],
            sentence=first["sentence"],
            start=int(first["start"]),
            end=int(first["end"]),
            finding=first["finding"],
            words=first["words"],
            words_start=int(first["words_start"] or 0),
            words_end=int(first["words_end"] or 0),
            assertion=first["assertion"],
            attributes=tuple(filter(None, first["attributes"].split(";"))),
            xyxy=_corners(boxes),
            scores=_scores(boxes),
            methods=tuple(row["method"] for row in boxes),  # type: ignore[misc]
            why_none=first["why_none"],  # type: ignore[arg-type]  # checked there
        )


def _corners(rows: list[dict[str, str]]) -> Floats:
    corners = [[float(row[edge]) for edge in ("x1", "y1", "x2", "y2")] for row in rows]
    return np.array(corners, np.float64).reshape(-1, 4)


def _scores(rows: list[dict[str, str]]) -> Floats:
    return np.array([float(row["score"]) for row in rows], np.float64)


def _read_table(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Row number and row of a CSV with these columns."""
    if not path.is_file():
        raise DataError.from_problems([Problem(str(path), "a table", "no such file")])
    csv.field_size_limit(MAX_FIELD)
    with path.open(encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            problem = Problem(str(path), f"columns {', '.join(columns)}", f"no {missing[0]}")
            raise DataError.from_problems([problem])
        try:
            yield from enumerate(reader, start=2)
        except (csv.Error, UnicodeDecodeError) as error:
            problem = Problem(str(path), "a CSV table in UTF-8", str(error))
            raise DataError.from_problems([problem]) from error
