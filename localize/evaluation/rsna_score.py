"""The score of the RSNA Pneumonia Detection Challenge (Kaggle 2018)."""

from __future__ import annotations

import numpy as np

from data_manifests.support.arrays import Floats
from localize.evaluation.film_boxes import FilmBoxes, find_overlaps, in_parts
from localize.evaluation.matching import kaggle_matches
from localize.evaluation.measure import Measure, divide, ratio_measure

RSNA_THRESHOLDS: Floats = np.linspace(0.4, 0.75, 8)


def rsna_film_scores(boxes: FilmBoxes) -> Floats:
    """Mean of TP / (TP + FP + FN) over IoU .40:.05:.75 of each film; (I,).

    All given predictions count: apply the score threshold first. NaN for a film with neither true
    nor predicted boxes, which the challenge leaves out, and where the boxes are not known.
    """
    return in_parts(boxes, _scores)


def _scores(boxes: FilmBoxes) -> Floats:
    matched = kaggle_matches(boxes, find_overlaps(boxes), RSNA_THRESHOLDS)
    true_positives = np.stack(
        [np.bincount(boxes.true_film[column], minlength=boxes.films) for column in matched.T],
        axis=1,
    ).astype(np.float64)
    union = (boxes.true_counts() + boxes.pred_counts())[:, None] - true_positives
    scores: Floats = divide(true_positives, union).mean(axis=1)
    return scores


def rsna_measure(boxes: FilmBoxes, score_threshold: float) -> Measure:
    """The challenge's score: the mean of `rsna_film_scores` at a score threshold."""
    scores = rsna_film_scores(boxes.above(score_threshold))
    counts = np.isfinite(scores)
    return ratio_measure(
        ("rsna_score",),
        np.where(counts, scores, 0.0)[:, None],
        counts[:, None],
    )


def best_score_threshold(boxes: FilmBoxes, *, candidates: int = 64) -> float:
    """The threshold with the highest RSNA score; to be chosen on validation films only.

    Tries `candidates` quantiles of the scores; of equal ones the highest threshold. 0.0 where there
    is nothing to choose from.
    """
    if not len(boxes.pred_score):
        return 0.0
    levels = np.unique(np.quantile(boxes.pred_score, np.linspace(0, 1, candidates)))
    ones = np.ones((1, boxes.films))
    scores = [float(rsna_measure(boxes, float(t)).values(ones)[0, 0]) for t in levels]
    if np.isnan(scores).all():
        return 0.0
    best = np.flatnonzero(np.asarray(scores) == np.nanmax(scores))[-1]
    return float(levels[best])
