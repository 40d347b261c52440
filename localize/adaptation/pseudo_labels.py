"""`report_boxes`: boxes that a report vouches for, to teach a detector a new hospital.

Pseudo-labels from film-level words, after Inoue et al. 2018 (cross-domain weakly-supervised object
detection): on every side that the report names, the region that the detector and the report's words
of place and size like best becomes a box, and a film whose report denies an opacity becomes a film
without boxes. What a report leaves open is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from data_manifests.boxes import iou_matrix
from data_manifests.laterality import is_on_side
from data_manifests.support.arrays import Floats
from data_manifests.support.errors import DataError, Problem
from data_manifests.tables.manifest import Manifest, make_manifest
from detector.roi_store import DONE, RoiStore
from localize.adaptation.film_words import FilmWords, film_words
from localize.adaptation.word_places import WordPlaces, box_places, fit_word_places

ANNOTATOR = "report"
VOTING_IOU = 0.5
# Of .1 to .8 the regions chosen lie on a true box (IoU .5) most often at .3, on the training films
# of table 1's phantoms: words are no independent witnesses, "focal" and "mild" say nearly the same.
WORD_WEIGHT = 0.3
ROUNDS = 3  # of learning what words say and choosing anew; more change little
TINY_SCORE = 1e-6
Evidence = Literal["words", "sides", "finding"]


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
class Candidates:
    """The regions from which one box of a film is chosen: `boxes` (N, 4) film pixels, `scores` (N,)
    and `places` (N, F); `words` are those of the film."""

    image_id: str
    boxes: Floats
    scores: Floats
    places: Floats
    words: FilmWords


def report_boxes(
    films: Manifest, store: RoiStore, mined: Path, *, evidence: Evidence = "words"
) -> ReportBoxes:
    """Choose regions of the ROI `store` by the mined reports (`attributes mine`) of the films.

    `evidence` says what of the report is used: the finding, its sides and all words of place and
    size (`word_places`, learned from these films); the finding and its sides; or the
    finding alone (the film's best region). Hedged findings decide nothing.

    Raises:
        DataError: tables missing or damaged, a film that is not in the store, no film decided.
    """
    told, status = film_words(films, mined), store.status()
    kept: list[bool] = []
    candidates: list[Candidates] = []
    boxed = 0
    image_ids = films.images["image_id"].tolist()
    for image_id, row, words in zip(image_ids, store.rows_of(image_ids), told.films, strict=True):
        if words.has_opacity is None or status[row] != DONE:
            kept.append(False)
            continue
        if not words.has_opacity:
            kept.append(True)
            continue
        found = film_candidates(store, row, image_id, words, by_side=evidence != "finding")
        kept.append(bool(found))
        boxed += bool(found)
        candidates += found
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
    worth = [one.scores for one in candidates]
    if evidence == "words" and candidates:
        worth = worth_by_words(candidates, told.keywords)
    rows = [
        (one.image_id, *vote_box(one.boxes, values, int(values.argmax())))
        for one, values in zip(candidates, worth, strict=True)
    ]
    return ReportBoxes(
        manifest=with_boxes(films.subset(kept), rows),
        with_boxes=boxed,
        without_boxes=sum(kept) - boxed,
        left_out=len(kept) - sum(kept),
    )


def film_candidates(
    store: RoiStore, row: int, image_id: str, words: FilmWords, *, by_side: bool
) -> list[Candidates]:
    """The regions on each side that the report names, or all where none is named.

    Empty where the film, or a side, has no region.
    """
    batch = store.read(np.array([row]))
    mask = batch.mask[0]
    boxes = batch.boxes[0][mask].astype(np.float64)
    scores = batch.scores[0][mask].astype(np.float64)
    width, height = batch.sizes[0].tolist()
    places = box_places(boxes, width, height)
    everywhere = np.ones(len(boxes), bool)
    sides = words.sides if by_side else ()
    parts = [is_on_side(boxes, width, side) for side in sides] or [everywhere]
    if not all(part.any() for part in parts):
        return []
    return [Candidates(image_id, boxes[part], scores[part], places[part], words) for part in parts]


def worth_by_words(candidates: Sequence[Candidates], keywords: Sequence[str]) -> list[Floats]:
    """Score times (the words' likelihood) ** WORD_WEIGHT of every candidate's regions.

    Begins with the regions that score highest, learns what the words say of them, chooses anew.
    """
    said = np.array([one.words.said for one in candidates])
    known = np.array([one.words.known for one in candidates])
    worth = [one.scores for one in candidates]
    for _ in range(ROUNDS):
        chosen = np.array(
            [one.places[values.argmax()] for one, values in zip(candidates, worth, strict=True)]
        )
        learned = fit_word_places(chosen, said, known, keywords)
        worth = [_worth(one, learned) for one in candidates]
    return worth


def _worth(one: Candidates, learned: WordPlaces) -> Floats:
    fit = learned.log_likelihood(one.places, one.words.said, one.words.known)
    worth: Floats = np.maximum(one.scores, TINY_SCORE) * np.exp(WORD_WEIGHT * (fit - fit.max()))
    return worth


def vote_box(boxes: Floats, weights: Floats, chosen: int) -> tuple[float, float, float, float]:
    """The mean of the regions that overlap region `chosen` by half or more, (x1, y1, x2, y2).

    Each counts by its weight times its overlap (box voting, Gidaris and Komodakis 2015): many
    regions know the edges of an opacity better than one.
    """
    overlap = iou_matrix(boxes[[chosen]], boxes)[0]
    votes = np.where(overlap >= VOTING_IOU, weights * overlap, 0.0)
    if not votes.any():  # all weights 0
        return _corners(boxes[chosen])
    return _corners(votes @ boxes / votes.sum())


def _corners(box: Floats) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box.tolist()
    return x1, y1, x2, y2


def with_boxes(films: Manifest, rows: Sequence[tuple[str, float, float, float, float]]) -> Manifest:
    """The films with other boxes: rows of image_id, x1, y1, x2, y2 (annotator `report`)."""
    boxes = pd.DataFrame(rows, columns=["image_id", "x1", "y1", "x2", "y2"])
    boxes = boxes.assign(label="opacity", annotator=ANNOTATOR)
    return make_manifest(
        films.images, boxes, films.reports, films.labels, info=films.info, root=films.root
    )
