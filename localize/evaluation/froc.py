"""FROC: sensitivity for boxes against false positives per film."""

from __future__ import annotations

import numpy as np

from data_manifests.support.arrays import Floats
from localize.evaluation.film_boxes import FilmBoxes, find_overlaps, in_parts
from localize.evaluation.matching import coco_matches
from localize.evaluation.measure import Measure, divide, narrow, weighted_sums

FALSE_POSITIVE_RATES = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)


def froc_measure(
    boxes: FilmBoxes,
    threshold: float,
    *,
    rates: tuple[float, ...] = FALSE_POSITIVE_RATES,
) -> Measure:
    """Sensitivity at each rate of false positives per film, and their mean.

    A prediction is true by COCO's greedy matching at IoU >= `threshold`, a second hit on a true box
    is false. The value at a rate is the sensitivity at the lowest score threshold whose false
    positives per film (all films with known boxes, negatives included) do not exceed it.
    """
    limit = np.array([threshold])
    is_true = in_parts(boxes, lambda part: coco_matches(part, find_overlaps(part), limit))[:, 0]
    order = np.argsort(-boxes.pred_score, kind="stable")
    film, is_true, score = narrow(boxes.pred_film[order]), is_true[order], boxes.pred_score[order]
    # Predictions of one score fall together, so only the last of each is an operating point.
    is_end = np.ones(len(score), np.bool_)
    is_end[:-1] = score[1:] != score[:-1]
    true_counts, is_known = narrow(boxes.true_counts())[:, None], boxes.is_known[:, None]

    def values(weights: Floats) -> Floats:
        weight = weights[:, film]
        true = np.cumsum(weight * is_true, axis=1)[:, is_end]
        false = np.cumsum(weight * ~is_true, axis=1)[:, is_end]
        films = weighted_sums(weights, is_known)[:, 0]
        found = np.empty((len(weights), len(rates)))
        for row, limits in enumerate(films[:, None] * np.asarray(rates)):
            found[row] = np.append(0, true[row])[np.searchsorted(false[row], limits, side="right")]
        sensitivity = divide(found, weighted_sums(weights, true_counts))
        return np.concatenate([sensitivity, sensitivity.mean(axis=1, keepdims=True)], axis=1)

    keys = tuple(f"froc_{threshold:g}_at_{rate:g}_fp" for rate in rates)
    return Measure((*keys, f"froc_{threshold:g}_mean"), values)
