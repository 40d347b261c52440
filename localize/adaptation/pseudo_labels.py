"""`label_by_reports`: pseudo-label boxes derived from reports, to fine-tune a detector with.

After Inoue et al. 2018 (cross-domain weakly-supervised object detection), with reports in the place
of image labels. On every side that a report names, the region that the detector's score and the
report's words of place and size fit best becomes a box. A film whose report denies an opacity
becomes a film without boxes. Films with a hedged report, or without one, are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from data_manifests.laterality import LungSide, is_on_side
from data_manifests.support.arrays import Floats
from data_manifests.support.errors import DataError, Problem
from data_manifests.tables.manifest import Manifest
from detector.roi_store import DONE, RoiStore
from localize.adaptation.pseudo_boxes import (
    FilmRois,
    PseudoBox,
    read_film_rois,
    vote_box,
    with_pseudo_boxes,
)
from localize.adaptation.report_words import ReportWords, read_report_words
from localize.adaptation.word_priors import WordPriors, box_features, fit_word_priors

# Of .1 to .8, .3 put the most chosen regions on a true box (IoU .5), on the training films of table
# 1's phantoms. It is below 1 because keywords repeat each other ("focal" and "mild").
WORD_WEIGHT = 0.3
ROUNDS = 3  # of fitting the priors and choosing again; more rounds change little
TINY_SCORE = 1e-6
Evidence = Literal["words", "sides", "finding"]


@dataclass(frozen=True)
class PseudoLabels:
    """`manifest`: the labelled films, with pseudo-boxes or none.

    `boxed_films` and `empty_films` count them; `unlabelled_films` have no report, a hedged one, or
    no region on a side that the report names.
    """

    manifest: Manifest
    boxed_films: int
    empty_films: int
    unlabelled_films: int


@dataclass(frozen=True)
class Candidates:
    """The regions of one film from which one pseudo-box is chosen, with the film's report."""

    image_id: str
    rois: FilmRois
    report: ReportWords

    def features(self) -> Floats:
        """Place and size of the regions (R, F)."""
        return box_features(self.rois.xyxy, self.rois.width, self.rois.height)


def label_by_reports(
    films: Manifest, store: RoiStore, mined: Path, *, evidence: Evidence = "words"
) -> PseudoLabels:
    """Pseudo-labels of `films` from regions of the ROI `store` and mined reports.

    `mined` is a folder of `pneumoloc attributes mine`. `evidence` is the part of a report that is
    used: `finding` (there is an opacity: the film's best region), `sides` (the best region on each
    side that it names), or `words` (sides, and all keywords of place and size).

    Raises:
        DataError: tables missing or damaged, a film that is not in the store, no film labelled.
    """
    table, status = read_report_words(films, mined), store.status()
    image_ids = films.images["image_id"].tolist()
    is_labelled: list[bool] = []
    candidates: list[Candidates] = []
    boxed_films = 0
    for image_id, row, report in zip(
        image_ids, store.rows_of(image_ids), table.reports, strict=True
    ):
        if report.has_opacity is None or status[row] != DONE:
            is_labelled.append(False)
        elif not report.has_opacity:
            is_labelled.append(True)
        else:
            sides = () if evidence == "finding" else report.sides
            parts = split_by_side(read_film_rois(store, row), sides)
            is_labelled.append(bool(parts))
            boxed_films += bool(parts)
            candidates += [Candidates(image_id, rois, report) for rois in parts]
    if not any(is_labelled):
        raise DataError.from_problems(
            [
                Problem(
                    file=str(mined),
                    expected="reports that state or deny an opacity",
                    got=f"none for {len(is_labelled)} films",
                    fix="check that study_id agrees between images.csv and the mined reports",
                )
            ]
        )
    weights = [one.rois.scores for one in candidates]
    if evidence == "words" and candidates:
        weights = weights_by_words(candidates, table.keywords)
    boxes = [
        PseudoBox(one.image_id, vote_box(one.rois, values, int(values.argmax())))
        for one, values in zip(candidates, weights, strict=True)
    ]
    return PseudoLabels(
        manifest=with_pseudo_boxes(films.subset(is_labelled), boxes),
        boxed_films=boxed_films,
        empty_films=sum(is_labelled) - boxed_films,
        unlabelled_films=len(is_labelled) - sum(is_labelled),
    )


def split_by_side(rois: FilmRois, sides: Sequence[LungSide]) -> list[FilmRois]:
    """The regions on each of the patient's `sides`; all regions together without sides.

    An empty list if the film, or one of the sides, has no region.
    """
    parts = [rois.subset(is_on_side(rois.xyxy, rois.width, side)) for side in sides] or [rois]
    return parts if all(len(part.xyxy) for part in parts) else []


def weights_by_words(candidates: Sequence[Candidates], keywords: Sequence[str]) -> list[Floats]:
    """Score times P(report | box) ** WORD_WEIGHT of the regions (R,) of each candidate.

    The priors are fitted on the regions with the highest scores, then on those chosen by the
    weights, ROUNDS times.
    """
    is_present = np.array([one.report.is_present for one in candidates])
    is_known = np.array([one.report.is_known for one in candidates])
    features = [one.features() for one in candidates]
    weights = [one.rois.scores for one in candidates]
    for _ in range(ROUNDS):
        chosen = np.array(
            [rows[values.argmax()] for rows, values in zip(features, weights, strict=True)]
        )
        priors = fit_word_priors(chosen, is_present, is_known, keywords)
        weights = [
            _weights(one, rows, priors) for one, rows in zip(candidates, features, strict=True)
        ]
    return weights


def _weights(one: Candidates, features: Floats, priors: WordPriors) -> Floats:
    fit = priors.log_likelihood(features, one.report.is_present, one.report.is_known)
    weights: Floats = np.maximum(one.rois.scores, TINY_SCORE) * np.exp(
        WORD_WEIGHT * (fit - fit.max())
    )
    return weights
