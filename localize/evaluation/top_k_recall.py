"""IoU@T: the share of true boxes that the best-ranked predictions of a film find."""

from __future__ import annotations

import numpy as np

from data_manifests.support.arrays import Bools, Floats, Ints
from localize.evaluation.film_boxes import FilmBoxes, find_overlaps, in_parts
from localize.evaluation.matching import MAX_THRESHOLD, maximum_matches
from localize.evaluation.measure import Measure, narrow, ratio_measure
from localize.evaluation.region_overlap import union_iou


def box_recall_measure(prefix: str, boxes: FilmBoxes, thresholds: Floats) -> Measure:
    """IoU@T: share of true boxes matched one-to-one with IoU >= T by the given predictions.

    Give `boxes.first(boxes.true_counts())` for DESIGN's IoU@T (k = number of true boxes of the
    film), all boxes for the best that any ranking of them could reach (at most k can match).
    """

    def found(part: FilmBoxes) -> Ints:
        overlaps = find_overlaps(part)
        matched = [maximum_matches(part, overlaps, threshold) for threshold in thresholds]
        counts = [np.bincount(part.true_film[rows], minlength=part.films) for rows in matched]
        return narrow(np.stack(counts, axis=1))

    true_counts = narrow(boxes.true_counts())[:, None]
    return ratio_measure(_keys(prefix, thresholds), in_parts(boxes, found), true_counts)


def union_recall_measure(prefix: str, boxes: FilmBoxes, thresholds: Floats) -> Measure:
    """Share of films with true boxes where a prediction has IoU >= T with their union.

    The union is the region covered by the film's true boxes, overlaps counted once. Give
    `boxes.first(1)` for k = 1, all boxes for the best available one.
    """
    has_boxes = (boxes.true_counts() > 0)[:, None]
    limits = np.minimum(thresholds, MAX_THRESHOLD)

    def reached(part: FilmBoxes) -> Bools:
        best = np.zeros(part.films)
        np.maximum.at(best, part.pred_film, union_iou(part))
        is_reached: Bools = best[:, None] >= limits
        return is_reached

    return ratio_measure(_keys(prefix, thresholds), has_boxes & in_parts(boxes, reached), has_boxes)


def _keys(prefix: str, thresholds: Floats) -> tuple[str, ...]:
    return tuple(f"{prefix}_at_{threshold:g}" for threshold in thresholds)
