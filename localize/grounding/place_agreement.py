"""`place_agreement`: how well N boxes fit the side, zone and size that a sentence states."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from data_manifests.boxes import box_areas
from data_manifests.laterality import SIDES, LungSide, widths_by_side
from data_manifests.support.arrays import Floats
from localize.grounding.film_anatomy import ACROSS, BANDS, LEFT_ZONES, FilmAnatomy

MIN_SIDE_SHARE = 0.5  # of a box's width on the side that is stated; below, it does not agree
# The area that a word suggests, as a share of the film: the median of RSNA's training boxes by the
# dictated word; words of size mean the same as those of severity.
AREA_OF = {
    "mild": 0.035,
    "small": 0.035,
    "focal": 0.05,
    "moderate": 0.06,
    "large": 0.11,
    "severe": 0.11,
    "diffuse": 0.11,
}


@dataclass(frozen=True)
class PlaceWords:
    """The words of place and size of one region.

    Args:
        side: the patient's side, None where not stated.
        zones: keywords of zone; the best of them counts.
        sizes: keywords of `AREA_OF`.
    """

    side: LungSide | None
    zones: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether no place is stated."""
        return self.side is None and not self.zones


@dataclass(frozen=True)
class AgreementWeights:
    """How fast agreement falls with the distance from what the words say.

    Chosen on validation films of RSNA and SIIM by `pneumoloc experiment grounding`.

    Args:
        zone_sd: standard deviation of a box's centre beyond the edge of its zone, in zones.
        across_sd: the same across the lung, in half widths of a lung.
        area_sd: standard deviation of the logarithm of its area.
    """

    zone_sd: float = 0.3
    across_sd: float = 0.5
    area_sd: float = 3.0


def regions_of_words(attributes: Collection[str]) -> list[PlaceWords]:
    """The regions that a finding's attributes name: both sides for `bilateral`, else one."""
    zones = tuple(zone for zone in BANDS if zone in attributes)
    sizes = tuple(word for word in AREA_OF if word in attributes)
    sides: Sequence[LungSide | None] = [side for side in SIDES if side in attributes]
    if "bilateral" in attributes:
        sides = SIDES
    elif not sides:
        sides = ["left"] if set(zones) & set(LEFT_ZONES) else [None]
    return [PlaceWords(side, zones, sizes) for side in sides]


def place_agreement(
    xyxy: Floats,
    words: PlaceWords,
    anatomy: FilmAnatomy,
    weights: AgreementWeights = AgreementWeights(),
) -> Floats:
    """Agreement (N,) in [0, 1] of boxes (N, 4) in film pixels; 1 where nothing is stated.

    The product of side (share of the width on it, 0 below a half), zone (1 inside its band, a
    normal curve beyond) and area (a normal curve of its logarithm).
    """
    found = np.ones(len(xyxy))
    if not len(xyxy):
        return found
    if words.side is not None:
        share = _side_share(xyxy, words.side, anatomy)
        found *= np.where(share >= MIN_SIDE_SHARE, share, 0.0)
    if words.zones:
        found *= np.max([_zone(xyxy, zone, anatomy, weights) for zone in words.zones], axis=0)
    for word in words.sizes:
        area = box_areas(xyxy) / (anatomy.width * anatomy.height)
        found *= _normal(np.log(area / AREA_OF[word]) / weights.area_sd)
    return found


def _side_share(xyxy: Floats, side: LungSide, anatomy: FilmAnatomy) -> Floats:
    on_side = widths_by_side(xyxy, anatomy.width, anatomy.borders)[:, 1 if side == "left" else 0]
    share: Floats = on_side / (xyxy[:, 2] - xyxy[:, 0])
    return share


def _zone(xyxy: Floats, zone: str, anatomy: FilmAnatomy, weights: AgreementWeights) -> Floats:
    top, bottom = anatomy.band_px(zone)
    if zone == "basal":
        bottom = float(anatomy.height)  # opacities of the base go on behind the diaphragm
    y = (xyxy[:, 1] + xyxy[:, 3]) / 2
    beyond = np.maximum(np.maximum(top - y, y - bottom), 0.0) / anatomy.third_px
    found = _normal(beyond / weights.zone_sd)
    if zone in ACROSS:
        near, far = ACROSS[zone]
        x = (xyxy[:, 0] + xyxy[:, 2]) / 2
        lung = anatomy.lung_rectangle("left" if zone in LEFT_ZONES else "right")
        across = np.abs(x - anatomy.midline_px) / (lung[2] - lung[0])
        beyond = np.maximum(np.maximum(near - across, across - far), 0.0)
        found *= _normal(beyond / weights.across_sd)
    return found


def _normal(deviation: Floats) -> Floats:
    found: Floats = np.exp(-0.5 * deviation**2)
    return found
