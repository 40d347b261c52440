"""`place_rectangles`: boxes from words of place and the lungs alone, and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_manifests.laterality import SIDES, LungSide
from data_manifests.support.arrays import Floats
from localize.grounding.film_anatomy import FilmAnatomy
from localize.grounding.place_agreement import PlaceWords

# Where a finding lies if no zone is stated.
USUAL_ZONE = {"atelectasis": "basal", "pneumothorax": "apical"}


@dataclass(frozen=True)
class EffusionShape:
    """Where a pleural effusion lies in its lung: `height` above the lowest point, `inner` the share
    of the width beside the midline that it leaves free."""

    height: float
    inner: float


# By the word of size, the largest stated one first. A small effusion fills the angle beside the
# wall alone. Set by hand, with the phantom films of seed 100 in view.
EFFUSIONS = {
    "severe": EffusionShape(0.4, 0.0),
    "large": EffusionShape(0.4, 0.0),
    "moderate": EffusionShape(0.25, 0.0),
    "small": EffusionShape(0.15, 0.67),
    "mild": EffusionShape(0.15, 0.67),
}
USUAL_EFFUSION = EFFUSIONS["moderate"]


@dataclass(frozen=True)
class PlaceScore:
    """The score of a box from words of place: with the film's own lungs, and without."""

    lungs: float
    average: float

    def of(self, anatomy: FilmAnatomy) -> float:
        """The score on one film."""
        is_segmented = anatomy.lungs is not None and anatomy.lungs.is_found
        return self.lungs if is_segmented else self.average


# (hits + 1) / (findings + 2) on described phantom films of seed 100, which is in no result; a hit
# is IoU .5 with the true box. 0 for findings that the phantom does not have. Boxes of atelectasis,
# nodules and masses show where to look and do not fit.
PLACE_SCORES = {
    "effusion": PlaceScore(0.46, 0.07),
    "pneumothorax": PlaceScore(0.0, 0.0),
    "cardiomegaly": PlaceScore(0.98, 0.87),
    "atelectasis": PlaceScore(0.01, 0.01),
    "nodule": PlaceScore(0.01, 0.01),
    "mass": PlaceScore(0.0, 0.0),
}


def place_rectangles(
    name: str, attributes: Sequence[str], places: Sequence[PlaceWords], anatomy: FilmAnatomy
) -> list[Floats]:
    """The part (4,) of the lung that the words name, one for each side; none where no side is
    stated."""
    boxes: list[Floats] = []
    for words in places:
        if words.side is None:
            continue
        if name == "effusion":
            boxes.append(effusion_rectangle(words.side, attributes, anatomy))
            continue
        zones = words.zones or (USUAL_ZONE.get(name, ""),)
        rectangles = [
            anatomy.zone_rectangle(words.side, zone) if zone else anatomy.lung_rectangle(words.side)
            for zone in zones
        ]
        corners = np.array(rectangles)
        boxes.append(np.concatenate([corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)]))
    return boxes


def effusion_rectangle(side: LungSide, attributes: Sequence[str], anatomy: FilmAnatomy) -> Floats:
    """The lowest part of a lung, as large as the word of size says.

    The fluid hides the base, and a segmented lung may end above it: the base is taken where the
    other lung ends, if that is lower.
    """
    x1, y1, x2, y2 = anatomy.lung_rectangle(side).tolist()
    y2 = max(y2, *(float(anatomy.lung_rectangle(one)[3]) for one in SIDES))
    shape = next((EFFUSIONS[word] for word in EFFUSIONS if word in attributes), USUAL_EFFUSION)
    free = shape.inner * (x2 - x1)
    begin, end = (x1 + free, x2) if side == "left" else (x1, x2 - free)
    return anatomy.inside(np.array([begin, y2 - shape.height * (y2 - y1), end, y2]))
