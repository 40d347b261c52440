"""`Boxes`: the boxes of one film, validated once and trusted afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_manifests.support.arrays import Bools, Floats, Ints


@dataclass(frozen=True)
class Boxes:
    """Axis-aligned boxes of one film.

    `xyxy` is float64 with shape (N, 4): x1, y1, x2, y2 in pixels of the film, x right, y down,
    origin at the outer corner of the top-left pixel, x1 < x2, y1 < y2, inside
    [0, width] x [0, height]. No boxes is shape (0, 4).

    Raises:
        ValueError: another shape, a non-finite number, a flipped or empty box, a box outside.
    """

    xyxy: Floats
    width: int
    height: int

    def __post_init__(self) -> None:
        xyxy = np.asarray(self.xyxy, dtype=np.float64)
        if xyxy.ndim != 2 or xyxy.shape[1] != 4:
            raise ValueError(f"xyxy must have shape (N, 4), but got shape {xyxy.shape}")
        bad = np.flatnonzero(~valid_boxes(xyxy, self.width, self.height))
        if len(bad):
            raise ValueError(
                f"box {bad[0]} must be finite with 0 <= x1 < x2 <= {self.width} and "
                f"0 <= y1 < y2 <= {self.height}, but got {xyxy[bad[0]].tolist()}"
            )
        xyxy = xyxy.copy()
        xyxy.setflags(write=False)
        object.__setattr__(self, "xyxy", xyxy)

    def __len__(self) -> int:
        return len(self.xyxy)

    def select(self, rows: Ints | Bools) -> Boxes:
        """The boxes of these rows (indices or a mask), in that order."""
        return Boxes(self.xyxy[rows], self.width, self.height)

    @classmethod
    def empty(cls, width: int, height: int) -> Boxes:
        """No boxes on a film of this size."""
        return cls(np.zeros((0, 4)), width, height)


def valid_boxes(
    xyxy: Floats,
    width: Floats | int,
    height: Floats | int,
) -> Bools:
    """Which rows of (N, 4) are finite, not flipped, not empty and inside; (N,) bool.

    Sizes are one number for all boxes or one for each. NaN compares false, so it is invalid.
    """
    x1, y1, x2, y2 = xyxy.T
    inside: Bools = (x1 >= 0) & (y1 >= 0) & (x2 <= width) & (y2 <= height) & (x1 < x2) & (y1 < y2)
    return inside


def box_areas(xyxy: Floats) -> Floats:
    """Areas of (N, 4) boxes in square pixels; (N,)."""
    areas: Floats = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    return areas


def intersection_matrix(a: Floats, b: Floats) -> Floats:
    """Intersection areas of (N, 4) and (M, 4) boxes; (N, M) square pixels."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    areas: Floats = np.clip(high - low, 0, None).prod(axis=2)
    return areas


def iou_matrix(a: Floats, b: Floats) -> Floats:
    """Intersection over union of (N, 4) and (M, 4) boxes of one frame; (N, M) in [0, 1]."""
    intersection = intersection_matrix(a, b)
    union = box_areas(a)[:, None] + box_areas(b)[None, :] - intersection
    iou: Floats = intersection / union
    return iou
