"""`FilmAnatomy`: rectangles of sides, zones and heart of one film, from its lungs where known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from data_manifests.laterality import WHOLE_FILM, LungBorders, LungSide
from data_manifests.support.arrays import Bools, Floats
from detector.lungs import LungFields
from detector.lungs.lung_fields import LEFT_LUNG, RIGHT_LUNG

# Of the average film: how far a lung reaches from the midline, and the heart to either side of it,
# as shares of the width.
LUNG_REACHES, LUNG_BEGINS = 0.38, 0.04
HEART_RIGHT, HEART_LEFT = 0.10, 0.22
MIN_SIDE_PX = 1.0
BANDS = {  # thirds of the lung: from, to, in units of a third below its top
    "upper": (0.0, 1.0),
    "middle": (1.0, 2.0),
    "lower": (2.0, 3.0),
    "apical": (0.0, 0.6),
    "basal": (2.2, 3.0),
    "perihilar": (1.0, 2.2),
    "lingular": (1.5, 2.6),
    "retrocardiac": (1.9, 3.0),
}
# Where across a lung a word points: from, to, as a share from the midline to the wall.
ACROSS = {"perihilar": (0.0, 0.6), "retrocardiac": (0.0, 0.6), "lingular": (0.25, 0.9)}
LEFT_ZONES = ("lingular", "retrocardiac")  # words that name the left lung by themselves


@dataclass(frozen=True)
class FilmAnatomy:
    """The size of a film and its lungs; `lungs` None or without a lung: the average film.

    `lungs` may be those of a smaller copy of the film.
    """

    width: int
    height: int
    lungs: LungFields | None = None

    @property
    def borders(self) -> LungBorders:
        """Midline and zones."""
        return WHOLE_FILM if self.lungs is None else self.lungs.borders

    @cached_property
    def _scales(self) -> Floats:
        """From pixels of `lungs` to those of the film, (4,)."""
        if self.lungs is None:
            return np.ones(4)
        return np.array([self.width / self.lungs.width, self.height / self.lungs.height] * 2)

    @property
    def midline_px(self) -> float:
        """The x between the lungs."""
        return self.borders.midline * self.width

    @cached_property
    def top_px(self) -> float:
        """The y at which the lungs begin."""
        borders = self.borders
        return (2 * borders.middle_starts - borders.lower_starts) * self.height

    @cached_property
    def third_px(self) -> float:
        """Height of a zone."""
        return (self.borders.lower_starts - self.borders.middle_starts) * self.height

    def band_px(self, zone: str) -> tuple[float, float]:
        """Top and bottom of a zone by its keyword."""
        low, high = BANDS[zone]
        return self.top_px + low * self.third_px, self.top_px + high * self.third_px

    def lung_rectangle(self, side: LungSide) -> Floats:
        """The lung of a side, (4,)."""
        part = LEFT_LUNG if side == "left" else RIGHT_LUNG
        if self.lungs is not None and self.lungs.score_of(part) is not None:
            return self.inside(_bounds(self.lungs.labels == part) * self._scales)
        near, far = LUNG_BEGINS * self.width, LUNG_REACHES * self.width
        middle, bottom = self.midline_px, self.top_px + 3 * self.third_px
        x1, x2 = (middle + near, middle + far) if side == "left" else (middle - far, middle - near)
        return self.inside(np.array([x1, self.top_px, x2, bottom]))

    def zone_rectangle(self, side: LungSide, zone: str) -> Floats:
        """The part of a lung that a keyword of zone names, (4,)."""
        lung = self.lung_rectangle(side)
        top, bottom = self.band_px(zone)
        near, far = ACROSS.get(zone, (0.0, 1.0))
        begin, end = (lung[0], lung[2]) if side == "left" else (lung[2], lung[0])
        edges = sorted((begin + near * (end - begin), begin + far * (end - begin)))
        found = np.array([edges[0], max(top, lung[1]), edges[1], min(bottom, lung[3])])
        return self.inside(found)

    def heart_rectangle(self) -> Floats:
        """The silhouette of the heart, (4,): as it was segmented, else where it usually lies."""
        if self.lungs is not None and self.lungs.heart is not None:
            return self.inside(np.asarray(self.lungs.heart.xyxy[0], np.float64) * self._scales)
        middle, bottom = self.midline_px, self.top_px + 3.1 * self.third_px
        half = self.width
        return self.inside(
            np.array(
                [
                    middle - HEART_RIGHT * half,
                    self.top_px + 1.3 * self.third_px,
                    middle + HEART_LEFT * half,
                    bottom,
                ]
            )
        )

    def inside(self, box: Floats) -> Floats:
        """A box (4,) cut to the film, at least a pixel wide and high."""
        size = np.array([self.width, self.height], np.float64)
        low = np.clip(box[:2], 0, size - MIN_SIDE_PX)
        high = np.clip(np.maximum(box[2:], low + MIN_SIDE_PX), 0, size)
        return np.concatenate([low, high])


def _bounds(mask: Bools) -> Floats:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)
