"""Loose localization hits: IoBB with false positives per film, and the pointing game."""

from __future__ import annotations

import numpy as np

from data_manifests.support.arrays import Bools, Floats, Ints
from localize.evaluation.film_boxes import FilmBoxes, find_overlaps, in_parts
from localize.evaluation.measure import Measure, narrow, ratio_measure

# Wang et al. 2017 (ChestX-ray8), table of T(IoBB).
IOBB_THRESHOLDS: Floats = np.array([0.1, 0.25, 0.5, 0.75, 0.9])


def iobb_measure(boxes: FilmBoxes, thresholds: Floats = IOBB_THRESHOLDS) -> Measure:
    """Accuracy and AFP at each T(IoBB), on the films with true boxes (Wang et al. 2017).

    IoBB is intersection over the area of the predicted box. Accuracy: share of true boxes touched
    by a prediction with IoBB > T; AFP: predictions without such a true box, per film. Several
    predictions may hit one true box. All given predictions count: apply the score threshold first.
    """
    true_counts = narrow(boxes.true_counts())
    keys = [f"{name}_at_{threshold:g}" for threshold in thresholds for name in ("iobb", "afp")]
    return ratio_measure(
        tuple(keys),
        in_parts(boxes, lambda part: _hits_and_false(part, thresholds)),
        np.stack([true_counts, true_counts > 0], axis=1),
    )


def _hits_and_false(boxes: FilmBoxes, thresholds: Floats) -> Ints:
    """True boxes touched, and predictions that touch none, of each film and threshold; (I, 2 T)."""
    overlaps = find_overlaps(boxes)
    is_positive = boxes.true_counts() > 0
    columns = []
    for threshold in thresholds:
        keep = overlaps.iobb > threshold
        is_found = np.zeros(len(boxes.true_film), np.bool_)
        is_found[overlaps.true[keep]] = True
        is_useful = np.zeros(len(boxes.pred_film), np.bool_)
        is_useful[overlaps.pred[keep]] = True
        false = np.bincount(boxes.pred_film[~is_useful], minlength=boxes.films)
        columns += [np.bincount(boxes.true_film[is_found], minlength=boxes.films)]
        columns += [false * is_positive]
    return narrow(np.stack(columns, axis=1))


def pointing_measure(boxes: FilmBoxes) -> Measure:
    """Pointing game: share of films with true boxes where the best box's centre lies in one."""
    has_boxes = (boxes.true_counts() > 0)[:, None]
    return ratio_measure(("pointing_hit_rate",), in_parts(boxes, _points_inside), has_boxes)


def _points_inside(boxes: FilmBoxes) -> Bools:
    """Whether the centre of each film's best box lies in a true box; (I, 1)."""
    best = boxes.first(1)
    centres = (best.pred_xyxy[:, :2] + best.pred_xyxy[:, 2:]) / 2
    point = np.full((boxes.films, 2), np.nan)
    point[best.pred_film] = centres
    point = point[boxes.true_film]
    is_inside = ((boxes.true_xyxy[:, :2] <= point) & (point <= boxes.true_xyxy[:, 2:])).all(
        axis=1
    )  # NaN, no prediction, is outside
    is_hit: Bools = np.bincount(boxes.true_film[is_inside], minlength=boxes.films) > 0
    return is_hit[:, None]
