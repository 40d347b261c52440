"""COCO average precision of boxes, at any IoU threshold and under film weights."""

from __future__ import annotations

import numpy as np

from data_manifests.support.arrays import Floats, Ints
from localize.evaluation.film_boxes import FilmBoxes, find_overlaps, in_parts
from localize.evaluation.matching import coco_matches
from localize.evaluation.measure import Measure, divide, narrow, weighted_sums

COCO_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
RECALL_POINTS: Floats = np.linspace(0, 1, 101)
MAX_DETECTIONS = 100  # of each film, COCO's largest `maxDets`


def coco_average_precision(boxes: FilmBoxes, thresholds: Floats = COCO_THRESHOLDS) -> Floats:
    """AP at each IoU threshold, as pycocotools computes it (area all, maxDets 100); (T,).

    NaN where there is no true box.
    """
    measure = average_precision_measure(boxes, thresholds)
    ap: Floats = measure.values(np.ones((1, boxes.films)))[0]
    return ap


def average_precision_measure(
    boxes: FilmBoxes, thresholds: Floats, *, keys: tuple[str, ...] = ()
) -> Measure:
    """AP at each of T thresholds as a function of film weights.

    The precision envelope only changes at true positives, so only they are kept: the k-th one of a
    threshold has precision (weight of true positives so far) / (weight of predictions so far).
    """
    is_true = in_parts(boxes, lambda part: coco_matches(part, find_overlaps(part), thresholds))
    order = np.argsort(-boxes.pred_score, kind="stable")
    order = order[boxes.pred_rank[order] < MAX_DETECTIONS]
    film = narrow(boxes.pred_film[order])
    is_hit = np.stack([column[order] for column in is_true.T])  # (T, P); a byte each
    true_counts = narrow(boxes.true_counts())[:, None]

    def values(weights: Floats) -> Floats:
        seen = np.cumsum(weights[:, film], axis=1)
        total = weighted_sums(weights, true_counts)[:, 0]
        columns = [
            _interpolated(weights, seen, total, film, np.flatnonzero(hits)) for hits in is_hit
        ]
        return np.stack(columns, axis=1)

    return Measure(keys or tuple(f"ap_at_{threshold:g}" for threshold in thresholds), values)


def _interpolated(weights: Floats, seen: Floats, total: Floats, film: Ints, hits: Ints) -> Floats:
    """101-point AP of each resample from the places `hits` of the true positives; (R,)."""
    true = np.cumsum(weights[:, film[hits]], axis=1)
    envelope = np.nan_to_num(divide(true, seen[:, hits]), nan=0.0, copy=False)[:, ::-1]
    np.maximum.accumulate(envelope, axis=1, out=envelope)
    envelope = envelope[:, ::-1]
    ap = np.full(len(weights), np.nan)
    for row in np.flatnonzero(total > 0):
        first = np.searchsorted(true[row] / total[row], RECALL_POINTS, side="left")
        # Recalls that are never reached have precision 0.
        ap[row] = envelope[row, first[first < len(hits)]].sum() / len(RECALL_POINTS)
    return ap
