"""`report_boxes`: boxes that a report vouches for, to teach a detector a new hospital.

Pseudo-labels from film-level words, after Inoue et al. 2018 (cross-domain weakly-supervised object
detection): the detector's best region on every side that the report names becomes a box, and a film
whose report denies an opacity becomes a film without boxes. What a report leaves open is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attributes.targets import Targets, read_studies_with_finding, read_targets
from data_manifests.boxes import iou_matrix
from data_manifests.errors import DataError, Problem
from data_manifests.manifest import Manifest, make_manifest
from detector.roi_store import DONE, RoiStore
from localize.grounding import is_on_side

SIDES = ("left", "right")
ANNOTATOR = "report"
VOTING_IOU = 0.5
Evidence = Literal["sides", "finding"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ReportBoxes:
    """`manifest`: the films whose report decides, with boxes or none (annotator `report`).

    `with_boxes` and `without_boxes` count them; `left_out` films have no report, a hedged one, or
    no region on a side that the report names.
    """

    manifest: Manifest
    with_boxes: int
    without_boxes: int
    left_out: int


@dataclass(frozen=True)
class FilmWords:
    """What a report says of its film: whether there is an opacity (None: left open), and where."""

    has_opacity: bool | None
    sides: tuple[str, ...]


def report_boxes(
    films: Manifest, store: RoiStore, mined: Path, *, evidence: Evidence = "sides"
) -> ReportBoxes:
    """Choose regions of the ROI `store` by the mined reports (`attributes mine`) of the films.

    `evidence` says what of the report is used: the finding and its sides, or the finding alone (the
    film's best region). Hedged findings decide nothing.

    Raises:
        DataError: tables missing or damaged, a film that is not in the store, no film decided.
    """
    words = film_words(films, mined)
    row_of = {image_id: row for row, image_id in enumerate(store.image_ids())}
    status = store.status()
    kept: list[bool] = []
    rows: list[tuple[str, float, float, float, float]] = []
    boxed = 0
    for image_id, said in zip(films.images["image_id"], words, strict=True):
        row = row_of.get(image_id)
        if row is None:
            raise DataError.from_problems(
                [
                    Problem(
                        file=str(store.folder),
                        field="image_ids",
                        expected="the regions of every film of the manifest",
                        got=f"no {image_id}",
                        fix="run `pneumoloc detector propose` on this manifest",
                    )
                ]
            )
        if said.has_opacity is None or status[row] != DONE:
            kept.append(False)
            continue
        if not said.has_opacity:
            kept.append(True)
            continue
        batch = store.read(np.array([row]))
        mask = batch.mask[0]
        boxes = batch.boxes[0][mask].astype(np.float64)
        scores = batch.scores[0][mask].astype(np.float64)
        chosen = choose_regions(
            boxes, scores, int(batch.sizes[0][0]), said.sides if evidence == "sides" else ()
        )
        kept.append(chosen is not None)
        if chosen is not None:
            boxed += 1
            rows += [(image_id, *vote_box(boxes, scores, index)) for index in chosen]
    if not any(kept):
        raise DataError.from_problems(
            [
                Problem(
                    file=str(mined),
                    expected="reports that state or deny an opacity",
                    got=f"none for {len(kept)} films",
                    fix="check that study_id agrees between images.csv and the mined reports",
                )
            ]
        )
    return ReportBoxes(
        manifest=with_boxes(films.subset(kept), rows),
        with_boxes=boxed,
        without_boxes=sum(kept) - boxed,
        left_out=len(kept) - sum(kept),
    )


def film_words(films: Manifest, mined: Path) -> list[FilmWords]:
    """What the mined reports say of each film, in the order of the manifest."""
    targets = read_targets(mined)
    stated = read_studies_with_finding(mined)
    hedged = read_studies_with_finding(mined, assertions=("uncertain",))
    row_of = targets.row_of
    return [
        _words(targets, row_of.get(study), study in stated, study in hedged)
        for study in films.images["study_id"]
    ]


def choose_regions(
    boxes: Floats, scores: Floats, film_width: int, sides: Sequence[str]
) -> list[int] | None:
    """The best region on each of the `sides` (patient's), or the film's best where none is named.

    `boxes` (N, 4) film pixels, `scores` (N,). None where a side has no region.
    """
    if not len(boxes):
        return None
    if not sides:
        return [int(scores.argmax())]
    chosen = []
    for side in sides:
        there = is_on_side(boxes, film_width, side)
        if not there.any():
            return None
        chosen.append(int(np.where(there, scores, -np.inf).argmax()))
    return chosen


def vote_box(boxes: Floats, scores: Floats, chosen: int) -> tuple[float, float, float, float]:
    """The mean of the regions that overlap region `chosen` by half or more, (x1, y1, x2, y2).

    Weights are score times overlap (box voting, Gidaris and Komodakis 2015): many regions know the
    edges of an opacity better than one.
    """
    overlap = iou_matrix(boxes[[chosen]], boxes)[0]
    weights = np.where(overlap >= VOTING_IOU, scores * overlap, 0.0)
    if not weights.any():  # all scores 0
        return _corners(boxes[chosen])
    return _corners(weights @ boxes / weights.sum())


def _corners(box: Floats) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box.tolist()
    return x1, y1, x2, y2


def _words(targets: Targets, row: int | None, is_stated: bool, is_hedged: bool) -> FilmWords:
    if row is None or (is_hedged and not is_stated):
        return FilmWords(None, ())
    if not is_stated:
        return FilmWords(False, ())
    said = {
        name
        for name, value, known in zip(
            targets.keywords, targets.targets[row], targets.mask[row], strict=True
        )
        if known and value > 0.5
    }
    if "bilateral" in said:
        return FilmWords(True, SIDES)
    return FilmWords(True, tuple(side for side in SIDES if side in said))


def with_boxes(films: Manifest, rows: Sequence[tuple[str, float, float, float, float]]) -> Manifest:
    """The films with other boxes: rows of image_id, x1, y1, x2, y2 (annotator `report`)."""
    boxes = pd.DataFrame(rows, columns=["image_id", "x1", "y1", "x2", "y2"])
    boxes = boxes.assign(label="opacity", annotator=ANNOTATOR)
    return make_manifest(
        films.images, boxes, films.reports, films.labels, info=films.info, root=films.root
    )
