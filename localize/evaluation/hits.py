"""Loose localization hits: IoBB with false positives per film, and the pointing game."""

from __future__ import annotations

import numpy as np

from data_manifests.support.arrays import Floats
from localize.evaluation.film_boxes import FilmBoxes, Overlaps
from localize.evaluation.measure import Measure, narrow, ratio_measure

# Wang et al. 2017 (ChestX-ray8), table of T(IoBB).
IOBB_THRESHOLDS: Floats = np.array([0.1, 0.25, 0.5, 0.75, 0.9])


def iobb_measure(
    boxes: FilmBoxes, overlaps: Overlaps, thresholds: Floats = IOBB_THRESHOLDS
) -> Measure:
    """Accuracy and AFP at each T(IoBB), on the films with true boxes (Wang et al. 2017).

    IoBB is intersection over the area of the predicted box. Accuracy: share of true boxes touched
    by a prediction with IoBB > T; AFP: predictions without such a true box, per film. Several
    predictions may hit one true box. All given predictions count: apply the score threshold first.
    """
    true_counts = narrow(boxes.true_counts())
    is_positive = true_counts > 0
    numerators, denominators, keys = [], [], []
    for threshold in thresholds:
        keep = overlaps.iobb > threshold
        found = np.unique(overlaps.true[keep])
        useful = np.unique(overlaps.pred[keep])
        hits = np.bincount(boxes.true_film[found], minlength=boxes.films)
        false = boxes.pred_counts() - np.bincount(boxes.pred_film[useful], minlength=boxes.films)
        numerators += [narrow(hits), narrow(false * is_positive)]
        denominators += [true_counts, is_positive]
        keys += [f"iobb_at_{threshold:g}", f"afp_at_{threshold:g}"]
    return ratio_measure(
        tuple(keys),
        np.stack(numerators, axis=1),
        np.stack(denominators, axis=1),
    )


def pointing_measure(boxes: FilmBoxes) -> Measure:
    """Pointing game: share of films with true boxes where the best box's centre lies in one."""
    best = boxes.first(1)
    centres = (best.pred_xyxy[:, :2] + best.pred_xyxy[:, 2:]) / 2
    point = np.full((boxes.films, 2), np.nan)
    point[best.pred_film] = centres
    point = point[boxes.true_film]
    is_inside = ((boxes.true_xyxy[:, :2] <= point) & (point <= boxes.true_xyxy[:, 2:])).all(
        axis=1
    )  # NaN, no prediction, is outside
    is_hit = np.bincount(boxes.true_film[is_inside], minlength=boxes.films) > 0
    has_boxes = boxes.true_counts() > 0
    return ratio_measure(("pointing_hit_rate",), is_hit[:, None], has_boxes[:, None])
