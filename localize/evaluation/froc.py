"""FROC: sensitivity for boxes against false positives per film."""

from __future__ import annotations

import numpy as np

from data_manifests.support.arrays import Floats
from localize.evaluation.film_boxes import FilmBoxes, Overlaps
from localize.evaluation.matching import coco_matches
from localize.evaluation.measure import Measure, divide

FALSE_POSITIVE_RATES = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)


def froc_measure(
    boxes: FilmBoxes,
    overlaps: Overlaps,
    threshold: float,
    *,
    rates: tuple[float, ...] = FALSE_POSITIVE_RATES,
) -> Measure:
    """Sensitivity at each rate of false positives per film, and their mean.

    A prediction is true by COCO's greedy matching at IoU >= `threshold`, a second hit on a true box
    is false. The value at a rate is the sensitivity at the lowest score threshold whose false
    positives per film (all films with known boxes, negatives included) do not exceed it.
    """
    is_true = coco_matches(boxes, overlaps, np.array([threshold]))[:, 0]
    order = np.argsort(-boxes.pred_score, kind="stable")
    film, is_true, score = boxes.pred_film[order], is_true[order], boxes.pred_score[order]
    # Predictions of one score fall together, so only the last of each is an operating point.
    ends = np.flatnonzero(np.r_[score[1:] != score[:-1], True]) if len(score) else np.zeros(0, int)
    true_counts, is_known = boxes.true_counts().astype(np.float64), boxes.is_known.astype(float)

    def values(weights: Floats) -> Floats:
        weight = weights[:, film]
        true = np.cumsum(weight * is_true, axis=1)[:, ends]
        false = np.cumsum(weight * ~is_true, axis=1)[:, ends]
        true = np.concatenate([np.zeros((len(weights), 1)), true], axis=1)
        films = weights @ is_known
        found = np.empty((len(weights), len(rates)))
        for row, limits in enumerate(films[:, None] * np.asarray(rates)):
            found[row] = true[row, np.searchsorted(false[row], limits, side="right")]
        sensitivity = divide(found, (weights @ true_counts)[:, None])
        return np.concatenate([sensitivity, sensitivity.mean(axis=1, keepdims=True)], axis=1)

    keys = tuple(f"froc_{threshold:g}_at_{rate:g}_fp" for rate in rates)
    return Measure((*keys, f"froc_{threshold:g}_mean"), values)
