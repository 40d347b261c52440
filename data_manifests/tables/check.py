"""`check_manifest`: everything that can be wrong with a manifest, in one report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from data_manifests.films.checks import film_problems
from data_manifests.films.duplicates import duplicate_contents
from data_manifests.support.errors import DataError, Problem
from data_manifests.support.membership import Lookup, first_rows, is_member
from data_manifests.tables.columns import BOX_COLUMNS
from data_manifests.tables.leaks import (
    overlap_inside,
    patients_written_twice,
    shared_report_texts,
    split_leaks,
)
from data_manifests.tables.manifest import read_tables
from data_manifests.tables.row_checks import PART_ROWS, BoxPart, table_problems
from data_manifests.tables.table_file import table_parts, table_path
from data_manifests.tables.typed_tables import typed_table, typed_tables

NOT_CHECKED = {"images": ("view", "source")}


@dataclass(frozen=True)
class CheckReport:
    """What a manifest holds and what is wrong with it.

    `problems` make the manifest unfit for use; `notes` are worth knowing (reports without films,
    one film under two ids inside one patient and split) and do not. `counts` are films, patients,
    studies, boxes and so on; `films_by_split` has `unassigned` for blank.
    """

    folder: str
    counts: Mapping[str, int]
    films_by_split: Mapping[str, int]
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]

    @property
    def is_sound(self) -> bool:
        """Whether the manifest has no problem."""
        return not self.problems

    def raise_problems(self) -> None:
        """Raise all problems as one DataError, if there are any."""
        if self.problems:
            raise DataError.from_problems(self.problems)


def check_manifest(
    folder: Path,
    image_root: Path | None = None,
    *,
    find_films: bool = True,
    read_films: bool = False,
    allow: tuple[str, ...] = (),
) -> CheckReport:
    """Check the tables, the splits and, if asked, every film.

    Args:
        folder: the manifest.
        image_root: where its films are, if not where `manifest.json` says.
        find_films: look whether every film file exists inside the image root.
        read_films: decode every film too; finds damaged files, sizes and checksums that differ
            from the manifest, and equal pixels under two ids.
        allow: leaks accepted by name, for example `nih-rsna` (see
            `data_manifests.tables.nih_rsna_overlap`).

    Raises:
        DataError: the folder cannot be read as tables at all. Bad rows are in the report instead.
    """
    folder = Path(folder)
    raw, info = read_tables(folder, ("images", "reports", "labels"), NOT_CHECKED)
    tables = typed_tables(raw)
    images = tables["images"]
    boxes = _Boxes(folder, images)
    parts = boxes.parts()
    problems = table_problems({**raw, "boxes": boxes.columns}, tables, parts)
    for _ in parts:  # counted also where a missing column ended the check
        pass
    del raw
    notes: list[Problem] = []
    if "image_id" in images and len(images) and not _structural(problems):
        problems += split_leaks(images)
        found, noted = patients_written_twice(images)
        problems += found
        notes += noted
        problems += overlap_inside(images, allow)
        found, noted = duplicate_contents(images, images["sha256"], "sha256", "file")
        problems += found
        notes += noted
        notes += _reports_without_films(tables["reports"], images)
        notes += shared_report_texts(images, tables["reports"])
        if find_films or read_films:
            root = image_root or folder / info.image_root
            found, noted = film_problems(images, root, read_films=read_films)
            # Equal files have equal pixels; the same pair is named once.
            known = {(problem.row, problem.got) for problem in (*problems, *notes)}
            problems += [p for p in found if (p.row, p.got) not in known]
            notes += [p for p in noted if (p.row, p.got) not in known]
    return CheckReport(
        folder=str(folder),
        counts=_counts(tables, boxes),
        films_by_split={
            str(name or "unassigned"): int(count)
            for name, count in images["split"].value_counts().sort_index().items()
        },
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _structural(problems: list[Problem]) -> bool:
    """Whether a column is missing: then rows mean nothing."""
    return any(problem.row == 1 for problem in problems)


class _Boxes:
    """The table of boxes, read in parts and counted."""

    def __init__(self, folder: Path, images: pd.DataFrame) -> None:
        self._path = table_path(folder, "boxes")
        self._films = Lookup(images["image_id"])
        self._has_box = np.zeros(len(images), np.bool_)
        self._unknown: set[str] = set()
        self.count = 0
        self.columns = pd.DataFrame(columns=list(BOX_COLUMNS))
        if self._path is not None:
            self.columns = next(table_parts(self._path, 1)).iloc[:0]

    def parts(self) -> Iterator[BoxPart]:
        """All rows; iterate once."""
        if self._path is None:
            return
        for raw in table_parts(self._path, PART_ROWS):
            typed = typed_table("boxes", raw)
            film = self._films.places(typed["image_id"])
            first, self.count = self.count, self.count + len(raw)
            self._has_box[film[film >= 0]] = True
            self._unknown.update(typed["image_id"][film < 0])
            yield BoxPart(raw, typed, film, first)

    def films(self) -> int:
        """The number of films with boxes, unknown ones included."""
        return int(self._has_box.sum()) + len(self._unknown)


def _counts(tables: Mapping[str, pd.DataFrame], boxes: _Boxes) -> dict[str, int]:
    images, reports = tables["images"], tables["reports"]
    return {
        "films": len(images),
        "patients": len(first_rows(images["patient_id"])),
        "studies": len(first_rows(images["study_id"])),
        "boxes": boxes.count,
        "films_with_boxes": boxes.films(),
        "reports": reports["study_id"].nunique(),
        "films_with_reports": int(is_member(images["study_id"], reports["study_id"]).sum()),
        "films_with_labels": len(tables["labels"]),
    }


def _reports_without_films(reports: pd.DataFrame, images: pd.DataFrame) -> list[Problem]:
    if reports.empty:
        return []
    first = reports.drop_duplicates("study_id")
    orphan = first[~is_member(first["study_id"], images["study_id"])]
    if orphan.empty:
        return []
    return [
        Problem(
            file="reports.csv",
            row=int(orphan.index[0]) + 2,
            field="study_id",
            expected="studies of images.csv",
            got=f"{len(orphan)} studies without a film, the first {orphan['study_id'].iloc[0]!r}",
            fix="such reports still teach word vectors",
        )
    ]
