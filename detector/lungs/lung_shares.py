"""Shares of lungs and zones under boxes, and the cardiothoracic ratio.

Where no lungs were found the halves of the film stand for them, cut at the heights of the average
film; `LungFields.is_found` says so. Boxes are (N, 4) in film pixels; a pixel is in a box if its
centre is.
"""

from __future__ import annotations

import numpy as np

from data_manifests.support.arrays import Bytes, Floats
from detector.lungs.lung_fields import HEART, LEFT_LUNG, RIGHT_LUNG, LungFields

ZONES = ("A", "B", "C", "D", "E", "F")  # Brixia: A to C the right lung from above, D to F the left
ZONES_A_LUNG = 3


def zone_map(fields: LungFields) -> Bytes:
    """The Brixia zone of each pixel: 0 outside the lungs, 1 to 6 for A to F; (H, W).

    Borghesi & Maroldi 2020 draw the lines at the aortic arch and at the inferior pulmonary veins;
    here they are those of `LungFields.borders`.
    """
    lungs = _lungs(fields)
    centres = (np.arange(fields.height) + 0.5) / fields.height
    starts = (fields.borders.middle_starts, fields.borders.lower_starts)
    level = np.searchsorted(starts, centres, side="right")[:, None]
    zones = np.where(lungs > 0, (lungs.astype(np.int64) - 1) * ZONES_A_LUNG + level + 1, 0)
    return zones.astype(np.uint8)


def zone_cover(fields: LungFields, xyxy: Floats, scores: Floats | None = None) -> Floats:
    """Share of each of ZONES under the boxes; (6,), NaN for a zone without pixels.

    Where boxes lie on each other, a pixel counts with the highest of their `scores` (N,); a box
    counts fully without them.
    """
    return _cover(zone_map(fields), len(ZONES), xyxy, scores)


def lung_cover(fields: LungFields, xyxy: Floats, scores: Floats | None = None) -> Floats:
    """Share of the right and of the left lung under the boxes, as `zone_cover`; (2,)."""
    return _cover(_lungs(fields), LEFT_LUNG, xyxy, scores)


def inside_shares(fields: LungFields, xyxy: Floats) -> Floats:
    """Share of each box that lies in a lung; (N,), 1 where no lungs were found."""
    is_lung = _lungs(fields) > 0
    found = []
    for box in np.asarray(xyxy, np.float64).reshape(-1, 4):
        inside = is_lung[_window(box)]
        found.append(float(inside.mean()) if inside.size else 0.0)
    return np.array(found)


def cardiothoracic_ratio(fields: LungFields) -> float | None:
    """Greatest width of the heart by the greatest width of both lungs together (Danzer 1919).

    None where the heart or a lung was not found.
    """
    if fields.heart is None or not fields.is_complete:
        return None
    x1, _, x2, _ = fields.heart.xyxy[0]
    lungs = np.flatnonzero(np.isin(fields.labels, (RIGHT_LUNG, LEFT_LUNG)).any(axis=0))
    return float((x2 - x1) / (lungs[-1] + 1 - lungs[0]))


def _lungs(fields: LungFields) -> Bytes:
    """RIGHT_LUNG, LEFT_LUNG or 0 for each pixel; the halves of the film where no lung was found."""
    if fields.is_found:
        return np.where(fields.labels == HEART, 0, fields.labels).astype(np.uint8)
    is_left = np.arange(fields.width) + 0.5 > fields.borders.midline * fields.width
    halves = np.where(is_left, LEFT_LUNG, RIGHT_LUNG).astype(np.uint8)
    return np.broadcast_to(halves, fields.labels.shape)


def _cover(parts: Bytes, count: int, xyxy: Floats, scores: Floats | None) -> Floats:
    """Share of each of the parts 1 to `count` under boxes; (count,)."""
    boxes = np.asarray(xyxy, np.float64).reshape(-1, 4)
    weights = np.ones(len(boxes)) if scores is None else np.asarray(scores, np.float64)
    covered = np.zeros(parts.shape, np.float32)
    for k in np.argsort(weights):  # the highest score is written last
        covered[_window(boxes[k])] = weights[k]
    pixels = np.bincount(parts.ravel(), minlength=count + 1)
    sums = np.bincount(parts.ravel(), covered.ravel(), minlength=count + 1)
    shares: Floats = np.full(count, np.nan)
    np.divide(sums[1:], pixels[1:], out=shares, where=pixels[1:] > 0)
    return shares


def _window(box: Floats) -> tuple[slice, slice]:
    """Rows and columns whose pixel centres lie in a box."""
    x1, y1, x2, y2 = np.ceil(box - 0.5).astype(int).clip(0).tolist()
    return slice(y1, y2), slice(x1, x2)
