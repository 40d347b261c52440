"""Augmentation in two steps: draw the change from (seed, epoch, position), then apply it.

There is no mirror: left and right are words of the report.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from data_manifests.support.arrays import Floats, Floats32

MIN_VISIBLE = 0.3  # share of a box that must stay in the frame, else it is no longer a target


@dataclass(frozen=True)
class Augmentation:
    """One drawn change: `scale` and the shifts move the film about its centre (shares of its size),
    `gamma` and `contrast` change grey levels."""

    scale: float
    shift_x: float
    shift_y: float
    gamma: float
    contrast: float


def draw_augmentation(seed: int, epoch: int, position: int) -> Augmentation:
    """The change for one place of one epoch: the same whoever asks, in whatever order.

    Loader workers and resumed runs therefore see the same films (see docs/method.md).
    """
    rng = np.random.default_rng((seed, epoch, position))
    return Augmentation(
        scale=float(np.exp(rng.uniform(np.log(0.82), np.log(1.2)))),
        shift_x=float(rng.uniform(-0.07, 0.07)),
        shift_y=float(rng.uniform(-0.07, 0.07)),
        gamma=float(np.exp(rng.uniform(np.log(0.7), np.log(1.4)))),
        contrast=float(rng.uniform(0.75, 1.25)),
    )


def apply_augmentation(
    pixels: Floats32, xyxy: Floats, change: Augmentation
) -> tuple[Floats32, Floats]:
    """The changed film, float32 (H, W) in [0, 1], and its boxes (N', 4) cut at the new border.

    Boxes of which less than 30 % stay visible are left out.
    """
    height, width = pixels.shape
    offset_x = width * ((1 - change.scale) / 2 + change.shift_x)
    offset_y = height * ((1 - change.scale) / 2 + change.shift_y)
    # warpAffine maps pixel centres, boxes are in edges: the half pixel keeps them together.
    centre = (change.scale - 1) / 2
    matrix = np.array(
        [[change.scale, 0, offset_x + centre], [0, change.scale, offset_y + centre]], np.float64
    )
    moved = cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR)
    levels = np.clip(moved, 0, 1) ** change.gamma
    levels = np.clip((levels - 0.5) * change.contrast + 0.5, 0, 1).astype(np.float32)
    boxes = xyxy * change.scale + np.array([offset_x, offset_y, offset_x, offset_y])
    cut = np.clip(boxes, 0, [width, height, width, height])
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    visible = (cut[:, 2] - cut[:, 0]) * (cut[:, 3] - cut[:, 1])
    return levels, cut[visible >= MIN_VISIBLE * area]
