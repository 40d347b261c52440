"""`score_map`: Dice, mean IoU and accuracy of an anomaly's map (section 5.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_manifests.support.arrays import Bools

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)
STEPS = 255.0


@dataclass(frozen=True)
class MapScore:
    """Scores of one map in [0, 1]: Dice without a threshold, the mean IoU at thresholds .1 to .5,
    and whether the IoU at threshold .1 exceeds .1."""

    dice: float
    miou: float
    is_hit: bool


MISSED = MapScore(0.0, 0.0, False)  # an anomaly that the structurer did not find


def score_map(steps: NDArray[np.uint8], region: Bools) -> MapScore:
    """A map in steps of 1/255 against its region, which must not be empty.

    Raises:
        ValueError: the region is empty: there is nothing to overlap.
    """
    inside = int(region.sum())
    if inside == 0:
        raise ValueError("region must hold a voxel, but got an empty one")
    values = steps.astype(np.float32) / np.float32(STEPS)
    overlap = float(values[region].sum())
    dice = 2 * overlap / (float(np.square(values).sum()) + inside)
    ious = []
    for threshold in THRESHOLDS:
        mask = steps >= threshold * STEPS
        both = int(mask[region].sum())
        ious.append(both / (int(mask.sum()) + inside - both))
    return MapScore(dice, float(np.mean(ious)), ious[0] > 0.1)
