"""Lung fields drawn from rectangles."""

from __future__ import annotations

import numpy as np

from data_manifests.boxes import Boxes
from detector.lungs.lung_fields import HEART, LEFT_LUNG, PARTS, RIGHT_LUNG, LungFields


def drawn_fields(*, right, left, size, heart=None):
    """Rectangles x1, y1, x2, y2 on a film of `size` (width, height); None for a missing part."""
    labels = np.zeros(size[::-1], np.uint8)
    drawn = {HEART: heart, RIGHT_LUNG: right, LEFT_LUNG: left}
    for part, box in drawn.items():
        if box is not None:
            x1, y1, x2, y2 = box
            labels[y1:y2, x1:x2] = part
    missing = [PARTS[part] for part in (RIGHT_LUNG, LEFT_LUNG) if drawn[part] is None]
    return LungFields(
        labels,
        right_score=None if right is None else 0.9,
        left_score=None if left is None else 0.9,
        heart_score=None if heart is None else 0.8,
        heart=None if heart is None else Boxes(np.array([heart], np.float64), *size),
        reason="; ".join(f"no {name} found" for name in missing),
    )


def no_fields(width, height):
    """A film on which nothing was found."""
    return drawn_fields(right=None, left=None, size=(width, height))
