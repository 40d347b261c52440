"""Corners in whole pixels, for readers that know no fractions."""

from __future__ import annotations

import math


def whole_corners(xyxy: list[float]) -> list[int]:
    """The nearest whole corners x1, y1, x2, y2, at least one pixel apart."""
    x1, x2 = _whole(xyxy[0], xyxy[2])
    y1, y2 = _whole(xyxy[1], xyxy[3])
    return [x1, y1, x2, y2]


def _whole(low: float, high: float) -> tuple[int, int]:
    if round(low) < round(high):
        return round(low), round(high)
    # Thinner than a pixel: the pixel that it begins in, which is inside the film.
    return math.floor(low), math.floor(low) + 1
