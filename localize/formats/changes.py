"""`summarise_changes`: who changed what, boxes that came back against those exported."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from data_manifests.boxes import iou_matrix
from data_manifests.support.arrays import Floats
from data_manifests.support.errors import DataError, Problem
from data_manifests.tables.manifest import Manifest
from localize.formats.hub.annotations import Annotations, FilmAnnotation
from localize.formats.hub.imported_film import ImportedFilm
from localize.formats.import_boxes import matched_rows, placed_films

# Formats and tools round to whole pixels: a shift of one pixel is no change.
SAME_PX = 1.0
# Below this overlap an annotator drew another box rather than moved this one.
MOVED_IOU = 0.25
KINDS = ("accepted", "moved", "relabelled", "deleted", "added")
TABLE_COLUMNS = ("image_id", "annotator", "change", "iou", "score", "label_before", "label_after")


@dataclass(frozen=True)
class ChangeCounts:
    """Boxes by what happened to them; `mean_iou` is over the moved ones, None without any."""

    films: int
    films_unchanged: int
    accepted: int
    moved: int
    relabelled: int
    deleted: int
    added: int
    mean_iou_moved: float | None
    accepted_share: float | None


@dataclass(frozen=True)
class ChangeSummary:
    """All changes of an import: in total, by annotator, and box by box (`table`)."""

    total: ChangeCounts
    by_annotator: dict[str, ChangeCounts]
    films_not_returned: int
    table: pd.DataFrame

    def to_json(self) -> str:
        """All counts as a JSON object; undefined is null."""
        content = {
            "total": asdict(self.total),
            "by_annotator": {name: asdict(counts) for name, counts in self.by_annotator.items()},
            "films_not_returned": self.films_not_returned,
        }
        return json.dumps(content, indent=2, allow_nan=False) + "\n"

    def to_markdown(self) -> str:
        """A table with one line for each annotator and one for all."""
        lines = [
            "| annotator | films | unchanged films | accepted | moved (mean IoU) | relabelled "
            "| deleted | added | accepted of predicted |",
            "| --- " * 9 + "|",
        ]
        for name, counts in [*self.by_annotator.items(), ("all", self.total)]:
            iou = "" if counts.mean_iou_moved is None else f" ({counts.mean_iou_moved:.2f})"
            share = counts.accepted_share
            cells = [
                " ".join(name.replace("|", "/").replace("<", "&lt;").split()) or "(unnamed)",
                counts.films,
                counts.films_unchanged,
                counts.accepted,
                f"{counts.moved}{iou}",
                counts.relabelled,
                counts.deleted,
                counts.added,
                "undefined" if share is None else f"{share:.1%}",
            ]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
        if self.films_not_returned:
            lines += ["", f"{self.films_not_returned} predicted films did not come back."]
        return "\n".join(lines) + "\n"


def summarise_changes(
    predicted: Annotations,
    films: Sequence[ImportedFilm],
    manifest: Manifest,
    *,
    annotator: str = "import",
) -> ChangeSummary:
    """Compare the boxes that came back with those that were exported.

    Boxes are paired inside a film so that the sum of their IoUs is largest. A pair is *accepted*
    where no corner moved by more than a pixel, *relabelled* where it has another label, *moved*
    where the IoU is at least 0.25; the others are *deleted* or *added*. A film that several persons
    annotated counts once for each.

    Args:
        predicted: the boxes as they were exported, with the same selection.
        films: as read from the annotators' file.
        manifest: to match the names of the films.
        annotator: of films whose file names none.

    Raises:
        DataError: as `import_boxes`, or a film that was not predicted.
    """
    images = manifest.images
    before = {film.image_id: film for film in predicted}
    matched = matched_rows(films, manifest)
    returned = [str(images["image_id"].iloc[row]) for row in matched]
    missing = [
        Problem("import", "a film of the prediction", repr(image_id))
        for image_id in returned
        if image_id not in before
    ]
    if missing:
        raise DataError.from_problems(missing)
    rows = []
    for image_id, film in zip(returned, placed_films(films, matched, manifest), strict=True):
        for name, boxes in _by_annotator(film, annotator):
            rows += _film_rows(before[image_id], film, boxes, name)
    table = pd.DataFrame(rows, columns=list(TABLE_COLUMNS))
    names = sorted(set(table["annotator"]))
    return ChangeSummary(
        total=_counts(table),
        by_annotator={name: _counts(table[table["annotator"] == name]) for name in names},
        films_not_returned=len(before) - len(set(returned)),
        table=table[table["change"] != ""].reset_index(drop=True),
    )


def _by_annotator(film: FilmAnnotation, default: str) -> Iterator[tuple[str, list[int]]]:
    """Each annotator of a film with their boxes; unchanged boxes belong to all."""
    known = {name for name in film.annotators if name} or {film.annotator or default}
    for name in sorted(known):
        yield name, [k for k, owner in enumerate(film.annotators) if owner in ("", name)]


def _film_rows(
    before: FilmAnnotation, after: FilmAnnotation, boxes: list[int], annotator: str
) -> list[tuple[object, ...]]:
    """One row for each box, or one with an empty change for a film without any."""
    if (before.width, before.height) != (after.width, after.height):
        problem = Problem(
            "import",
            f"the predicted film of {before.width} x {before.height} px",
            f"{after.width} x {after.height}",
            field=after.name,
        )
        raise DataError.from_problems([problem])
    xyxy = after.xyxy[boxes]
    new_labels = [after.labels[k] for k in boxes]
    iou = iou_matrix(before.xyxy, xyxy)
    head = (before.image_id, annotator)
    rows: list[tuple[object, ...]] = []
    paired_old, paired_new = set(), set()
    for old, new in zip(*linear_sum_assignment(-iou), strict=True):
        kind = _kind(before.xyxy[old], xyxy[new], float(iou[old, new]))
        if kind == "":
            continue
        paired_old.add(old)
        paired_new.add(new)
        labels = (before.labels[old], new_labels[new])
        if labels[0] != labels[1]:
            kind = "relabelled"
        rows.append((*head, kind, float(iou[old, new]), float(before.scores[old]), *labels))
    for old in sorted(set(range(len(before))) - paired_old):
        rows.append((*head, "deleted", np.nan, float(before.scores[old]), before.labels[old], ""))
    for new in sorted(set(range(len(boxes))) - paired_new):
        rows.append((*head, "added", np.nan, np.nan, "", new_labels[new]))
    return rows or [(*head, "", np.nan, np.nan, "", "")]


def _kind(before: Floats, after: Floats, iou: float) -> str:
    if np.abs(before - after).max() <= SAME_PX:
        return "accepted"
    return "moved" if iou >= MOVED_IOU else ""


def _counts(table: pd.DataFrame) -> ChangeCounts:
    number = {kind: int((table["change"] == kind).sum()) for kind in KINDS}
    is_changed = ~table["change"].isin(["accepted", ""])
    changed = set(table["image_id"][is_changed])
    moved = table["iou"][table["change"] == "moved"]
    predicted = sum(number[kind] for kind in ("accepted", "moved", "relabelled", "deleted"))
    films = table["image_id"].nunique()
    return ChangeCounts(
        films=films,
        films_unchanged=films - len(changed),
        mean_iou_moved=float(moved.mean()) if len(moved) else None,
        accepted_share=number["accepted"] / predicted if predicted else None,
        **number,
    )
