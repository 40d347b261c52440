"""`table_problems`: every defect of a manifest's tables, each with file, row and field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_manifests.boxes import valid_boxes
from data_manifests.support.arrays import Bools, Floats, Ints
from data_manifests.support.errors import Problem
from data_manifests.support.membership import Lookup, is_member, may_repeat
from data_manifests.tables.columns import (
    CORNERS,
    REQUIRED_COLUMNS,
    REQUIRED_IMAGE_COLUMNS,
    SPLITS,
)

PART_ROWS = 50_000  # checked together
MAX_PROBLEMS = 10_000  # enough to see a pattern; more do not help

IN_IMAGES = "an image_id of images.csv"

Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class BoxPart:
    """Some rows of the boxes, as read and typed, and where their films are in `images` (or -1)."""

    raw: pd.DataFrame
    typed: pd.DataFrame
    film: Ints
    first: int = 0  # number of the first row


def table_problems(
    raw: Tables, typed: Tables, box_parts: Iterable[BoxPart] | None = None
) -> list[Problem]:
    """All problems of the four tables, at most 10,000.

    `raw` are the tables as read (to quote what was there), `typed` the same with known columns
    filled and numbers parsed, NaN where a text was no number. With `box_parts` the boxes are
    checked part by part, and those of the tables are ignored.
    """
    problems = _missing_columns(raw)
    if problems:
        return problems
    images, boxes = typed["images"], typed["boxes"]
    if images.empty:
        return [Problem(file="images.csv", expected="at least one film", got="no rows")]
    problems += _blank(images, "images", REQUIRED_IMAGE_COLUMNS)
    problems += _duplicate_ids(images)
    problems += _bad_paths(images)
    problems += _flag(
        images,
        "images",
        "split",
        ~images["split"].isin(SPLITS).to_numpy(bool),
        "train, val, test or blank",
    )
    for column in ("width", "height"):
        problems += _bad_size(raw["images"], images, column)
    if box_parts is None:
        box_parts = _parts(raw["boxes"], boxes, images)
    sizes = images["width"].to_numpy(np.float64), images["height"].to_numpy(np.float64)
    unknown: list[Problem] = []
    bad: dict[str, list[Problem]] = {}
    for part in box_parts:
        unknown += _flag(
            part.typed, "boxes", "image_id", part.film < 0, IN_IMAGES, first=part.first
        )
        for kind, found in _bad_boxes(part, sizes).items():
            bad.setdefault(kind, []).extend(found)
    problems += [*unknown, *(problem for found in bad.values() for problem in found)]
    problems += _unknown_reference(typed["labels"], "labels", "image_id", images["image_id"])
    problems += _duplicate_labels(typed["labels"])
    problems += _blank(typed["reports"], "reports", ("study_id",))
    problems += _binary_text(typed["reports"])
    problems += _two_patients_in_a_study(images)
    return problems[:MAX_PROBLEMS]


def _parts(raw: pd.DataFrame, boxes: pd.DataFrame, images: pd.DataFrame) -> Iterator[BoxPart]:
    films = Lookup(images["image_id"])
    for first in range(0, len(boxes), PART_ROWS):
        rows = slice(first, first + PART_ROWS)
        typed = boxes.iloc[rows]
        yield BoxPart(raw.iloc[rows], typed, films.places(typed["image_id"]), first)


def _missing_columns(raw: Tables) -> list[Problem]:
    return [
        Problem(
            file=f"{name}.csv",
            field=column,
            row=1,
            expected=f"the columns {', '.join(columns)}",
            got=f"only {', '.join(map(str, raw[name].columns))}",
            fix="rename the columns, or build with `pneumoloc manifest build csv --column`",
        )
        for name, columns in REQUIRED_COLUMNS.items()
        for column in columns
        if column not in raw[name].columns
    ]


def _flag(
    table: pd.DataFrame,
    name: str,
    field: str,
    bad: np.ndarray[tuple[int], np.dtype[np.bool_]],
    expected: str,
    shown: pd.Series | None = None,
    fix: str = "",
    first: int = 0,
) -> list[Problem]:
    """One problem for each true row of `bad`, quoting the field's value.

    `first` is the number of the table's first row in its file, from 0.
    """
    if not bad.any():
        return []
    values = table[field] if shown is None else shown
    return [
        Problem(
            file=f"{name}.csv",
            row=first + int(row) + 2,
            field=field,
            expected=expected,
            got=repr(_as_read(values.iloc[row])[:80]),
            fix=fix,
        )
        for row in np.flatnonzero(bad)[:MAX_PROBLEMS]
    ]


def _blank(table: pd.DataFrame, name: str, fields: tuple[str, ...]) -> list[Problem]:
    problems = []
    for field in fields:
        blank = _where(table[field], lambda texts: texts.str.strip() == "")
        problems += _flag(table, name, field, blank, "a value")
    return problems


def _duplicate_ids(images: pd.DataFrame) -> list[Problem]:
    if not may_repeat(images["image_id"]):
        return []  # as nearly always; a fifth of the memory
    duplicate = images["image_id"].duplicated().to_numpy(bool)
    return _flag(images, "images", "image_id", duplicate, "an id that no earlier row has")


def _duplicate_labels(labels: pd.DataFrame) -> list[Problem]:
    duplicate = labels["image_id"].duplicated().to_numpy(bool)
    return _flag(labels, "labels", "image_id", duplicate, "one row for each film")


def _bad_paths(images: pd.DataFrame) -> list[Problem]:
    bad = _where(images["path"], _leads_out)
    return _flag(
        images,
        "images",
        "path",
        bad,
        "a path relative to the image root without '..'",
        fix="set image_root in manifest.json to the folder above",
    )


def _leads_out(paths: pd.Series) -> pd.Series:
    paths = paths.str.replace("\\", "/", regex=False)
    bad = paths.str.startswith("/") | paths.str.match(r"[A-Za-z]:/")
    return bad | paths.str.contains(r"(?:^|/)\.\.(?:/|$)", regex=True)


def _where(column: pd.Series, test: Callable[[pd.Series], pd.Series]) -> Bools:
    """`test` of the texts, some thousands at a time: it copies them."""
    starts = range(0, max(1, len(column)), PART_ROWS)
    parts = [test(column.iloc[start : start + PART_ROWS]).to_numpy(bool) for start in starts]
    return np.concatenate(parts)


def _bad_size(raw: pd.DataFrame, images: pd.DataFrame, column: str) -> list[Problem]:
    if column not in raw:
        return []
    size = images[column].to_numpy(np.float64)
    bad = ~(np.isfinite(size) & (size >= 1) & (np.floor(size) == size))
    for row in np.flatnonzero(bad):  # blank is allowed, and rare where sizes are given at all
        bad[row] = _as_read(raw[column].iloc[row]).strip() != ""
    return _flag(images, "images", column, bad, "a whole number of pixels", raw[column])


def _as_read(value: object) -> str:
    """The text of one field; missing is blank."""
    return "" if value is None or value is pd.NA or value != value else str(value)


def _unknown_reference(
    table: pd.DataFrame, name: str, field: str, known: pd.Series
) -> list[Problem]:
    if table.empty:
        return []
    unknown = ~is_member(table[field], known)
    return _flag(table, name, field, unknown, IN_IMAGES)


def _bad_boxes(part: BoxPart, sizes: tuple[Floats, Floats]) -> dict[str, list[Problem]]:
    """By kind, so that those of several parts can be listed kind by kind.

    `sizes` are widths and heights of all images.
    """
    boxes, raw = part.typed, part.raw
    if boxes.empty:
        return {}
    problems: dict[str, list[Problem]] = {}
    xyxy = boxes[list(CORNERS)].to_numpy(np.float64)
    is_number = np.isfinite(xyxy)
    for k, corner in enumerate(CORNERS):
        bad = ~is_number[:, k]
        problems[corner] = _flag(
            boxes, "boxes", corner, bad, "a finite number", raw[corner], first=part.first
        )
    for low, high in ((0, 2), (1, 3)):
        flipped = is_number.all(axis=1) & (xyxy[:, low] >= xyxy[:, high])
        problems[f"flipped {low}"] = [
            Problem(
                file="boxes.csv",
                row=part.first + int(row) + 2,
                field=CORNERS[high],
                expected=f"more than {CORNERS[low]}={xyxy[row, low]:g}",
                got=f"{xyxy[row, high]:g}",
                fix="drop the row or fix the box",
            )
            for row in np.flatnonzero(flipped)[:MAX_PROBLEMS]
        ]
    # A film of unknown size, or an unknown one, bounds its boxes only from below.
    width, height = (
        np.where((part.film >= 0) & np.isfinite(of_film), of_film, np.inf)
        for of_film in (size[part.film] for size in sizes)
    )
    outside = is_number.all(axis=1) & ~valid_boxes(xyxy, width, height)
    outside &= (xyxy[:, 0] < xyxy[:, 2]) & (xyxy[:, 1] < xyxy[:, 3])
    problems["outside"] = [
        Problem(
            file="boxes.csv",
            row=part.first + int(row) + 2,
            field="x1,y1,x2,y2",
            expected=f"a box inside the film 0,0,{width[row]:g},{height[row]:g}",
            got=",".join(f"{value:g}" for value in xyxy[row]),
            fix="fix the box, or the film's width and height",
        )
        for row in np.flatnonzero(outside)[:MAX_PROBLEMS]
    ]
    return problems


def _binary_text(reports: pd.DataFrame) -> list[Problem]:
    binary = reports["text"].str.contains("\x00", regex=False).to_numpy(bool)
    return _flag(reports, "reports", "text", binary, "text", fix="a NUL byte: this is not a report")


def _two_patients_in_a_study(images: pd.DataFrame) -> list[Problem]:
    if not may_repeat(images["study_id"]):
        return []
    pairs = images[["study_id", "patient_id"]].drop_duplicates()
    if not pairs["study_id"].duplicated().any():
        return []  # as nearly always; a fifth of the memory
    first = images.groupby("study_id", sort=False)["patient_id"].transform("first")
    other = (images["patient_id"] != first).to_numpy(bool) & (images["study_id"] != "").to_numpy()
    # The film is shown instead of the patient's id, which may name a person.
    expected = "the patient of the study's first film"
    return _flag(images, "images", "patient_id", other, expected, "film " + images["image_id"])
