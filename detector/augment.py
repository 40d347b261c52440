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
    `stretch` widens it and lowers it by as much, `gamma` and `contrast` change grey levels."""

    scale: float
    shift_x: float
    shift_y: float
    gamma: float
    contrast: float
    stretch: float = 1.0

    def movement(self, width: float, height: float) -> tuple[Floats, Floats]:
        """Factors and offsets (x, y), pixels: a point p moves to factor * p + offset."""
        factors = self.scale * np.array([self.stretch, 1 / self.stretch])
        shifts = np.array([self.shift_x, self.shift_y])
        return factors, np.array([width, height]) * ((1 - factors) / 2 + shifts)


def draw_augmentation(seed: int, epoch: int, position: int, strength: float = 1.0) -> Augmentation:
    """The change for one position of one epoch; it does not depend on the order of calls.

    Loader workers and resumed runs therefore see the same films (see docs/method.md). `strength`
    widens all ranges; above 1 the film is stretched, too.
    """
    rng = np.random.default_rng((seed, epoch, position))
    return Augmentation(
        scale=float(np.exp(strength * rng.uniform(np.log(0.82), np.log(1.2)))),
        shift_x=float(strength * rng.uniform(-0.07, 0.07)),
        shift_y=float(strength * rng.uniform(-0.07, 0.07)),
        gamma=float(np.exp(strength * rng.uniform(np.log(0.7), np.log(1.4)))),
        contrast=float(1 + strength * rng.uniform(-0.25, 0.25)),
        stretch=float(np.exp(max(0.0, strength - 1) * rng.uniform(-0.15, 0.15))),
    )


def apply_augmentation(
    pixels: Floats32, xyxy: Floats, change: Augmentation
) -> tuple[Floats32, Floats]:
    """The changed film, float32 (H, W) in [0, 1], and its boxes (N', 4) cut at the new border.

    Boxes of which less than 30 % stay visible are left out.
    """
    height, width = pixels.shape
    factors, offsets = change.movement(width, height)
    # warpAffine maps pixel centres, boxes are in edges: the half pixel keeps them together.
    centres = offsets + (factors - 1) / 2
    matrix = np.array([[factors[0], 0, centres[0]], [0, factors[1], centres[1]]], np.float64)
    moved = cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR)
    levels = np.clip(moved, 0, 1) ** change.gamma
    levels = np.clip((levels - 0.5) * change.contrast + 0.5, 0, 1).astype(np.float32)
    return levels, kept_boxes(moved_boxes(xyxy, change, width, height), width, height)


def moved_boxes(xyxy: Floats, change: Augmentation, width: float, height: float) -> Floats:
    """(N, 4) boxes of a film of this size after the change; they may reach over its border."""
    factors, offsets = change.movement(width, height)
    moved: Floats = xyxy * np.tile(factors, 2) + np.tile(offsets, 2)
    return moved


def kept_boxes(boxes: Floats, width: float, height: float) -> Floats:
    """Boxes cut at the film's border, without those of which less than 30 % stay visible."""
    cut = np.clip(boxes, 0, [width, height, width, height])
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    visible = (cut[:, 2] - cut[:, 0]) * (cut[:, 3] - cut[:, 1])
    kept: Floats = cut[visible >= MIN_VISIBLE * area]
    return kept
