"""`score_maps`: Dice, mIoU and accuracy of maps as in table 1 of the paper, and boxes of a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from data_manifests.boxes import iou_matrix
from data_manifests.support.arrays import Bools, Floats, Floats32

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)  # mIoU is the mean over these
ACCURACY_THRESHOLD = ACCURACY_IOU = 0.1
# Chosen on phantom seed 100, which is in no result: .1 gave 9 % of denied findings a box, .3 2 %.
BOX_THRESHOLD = 0.3
MIN_PIXELS = 4  # of a connected part; below, it is no box


@dataclass(frozen=True)
class MapScores:
    """Scores of Q findings; NaN where a score is not defined.

    Args:
        dice: (Q,) of the map itself with the mask of the boxes, findings with a region.
        miou: (Q,) mean IoU over THRESHOLDS, findings with a region.
        is_hit: (Q,) IoU above .1 at threshold .1, findings with a region.
        has_box: (Q,) the map gives a box, all findings.
        all_regions: (Q,) every region overlaps a box of its own with IoU .1, findings with several.
    """

    dice: Floats
    miou: Floats
    is_hit: Floats
    has_box: Floats
    all_regions: Floats


def score_maps(
    maps: Floats32, boxes: Sequence[Floats], *, box_threshold: float = BOX_THRESHOLD
) -> MapScores:
    """Score maps (Q, H, W) in [0, 1] against Q arrays of boxes (n, 4) in pixels of the map."""
    found = np.full((5, len(maps)), np.nan)
    for number, (one, true) in enumerate(zip(maps, boxes, strict=True)):
        drawn = map_boxes(one, box_threshold)
        found[3, number] = len(drawn) > 0
        if not len(true):
            continue
        mask = box_mask(true, *one.shape)
        found[0, number] = 2 * one[mask].sum() / max(float(one.sum() + mask.sum()), 1e-9)
        overlaps = [_iou(one >= level, mask) for level in THRESHOLDS]
        found[1, number] = np.mean(overlaps)
        found[2, number] = _iou(one >= ACCURACY_THRESHOLD, mask) > ACCURACY_IOU
        if len(true) > 1:
            found[4, number] = len(drawn) > 0 and _all_found(true, drawn)
    return MapScores(*found)


def map_boxes(one: Floats32, threshold: float) -> Floats:
    """The boxes (n, 4) of the connected parts of a map (H, W) from a threshold on, largest first.

    Pixels of the map; parts of less than MIN_PIXELS pixels are left out.
    """
    labels, count = ndimage.label(one >= threshold)
    if not count:
        return np.zeros((0, 4))
    sizes = np.bincount(labels.ravel())[1:]
    places = ndimage.find_objects(labels)
    order = [k for k in np.argsort(-sizes, kind="stable") if sizes[k] >= MIN_PIXELS]
    corners = [
        (places[k][1].start, places[k][0].start, places[k][1].stop, places[k][0].stop)
        for k in order
    ]
    return np.array(corners, np.float64).reshape(-1, 4)


def box_mask(boxes: Floats, height: int, width: int) -> Bools:
    """The pixels whose centres lie in one of the boxes (n, 4); (height, width)."""
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    mask = np.zeros((height, width), bool)
    for x1, y1, x2, y2 in boxes:
        mask |= ((y >= y1) & (y <= y2))[:, None] & ((x >= x1) & (x <= x2))[None, :]
    return mask


def _iou(a: Bools, b: Bools) -> float:
    return float((a & b).sum() / max(int((a | b).sum()), 1))


def _all_found(true: Floats, drawn: Floats) -> bool:
    iou = iou_matrix(true, drawn)
    rows, columns = linear_sum_assignment(-iou)
    return len(rows) == len(true) and bool((iou[rows, columns] >= ACCURACY_IOU).all())
