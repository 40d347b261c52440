"""`overlay`: lung fields drawn over their film, to look at."""

from __future__ import annotations

import cv2
import numpy as np

from data_manifests.support.arrays import Bytes, Floats32
from detector.lungs.lung_fields import HEART, LEFT_LUNG, RIGHT_LUNG, LungFields

COLOURS = {RIGHT_LUNG: (220, 60, 50), LEFT_LUNG: (60, 170, 75), HEART: (70, 120, 230)}  # RGB
TINT = 0.25
ZONE_LINE = (240, 220, 80)


def overlay(pixels: Floats32, fields: LungFields) -> Bytes:
    """RGB (H, W, 3): right lung red, left lung green, heart blue, the zones' borders yellow."""
    canvas = np.repeat(pixels[..., None] * 255, 3, axis=2).astype(np.float32)
    line = max(1, min(pixels.shape) // 250)
    for part, colour in COLOURS.items():
        inside = fields.labels == part
        canvas[inside] = (1 - TINT) * canvas[inside] + TINT * np.array(colour, np.float32)
        edges, _ = cv2.findContours(
            inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(canvas, edges, -1, colour, line)
    if fields.is_found:
        columns = np.flatnonzero(np.isin(fields.labels, (RIGHT_LUNG, LEFT_LUNG)).any(axis=0))
        for start in (fields.borders.middle_starts, fields.borders.lower_starts):
            y = round(start * fields.height)
            ends = (int(columns[0]), y), (int(columns[-1]), y)
            cv2.line(canvas, *ends, ZONE_LINE, line)
    return canvas.clip(0, 255).astype(np.uint8)
