"""`PlaceWords`: what a report says of the place and size of one opacity, and what a box implies.

`read_place_words` reads them from mined reports, finding by finding: "central opacity in the right
upper zone, large opacity at the left base" is two places, where the report's keywords are one bag.
`implied_words` are those that fit a given box.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from attributes.targets.training_targets import read_pneumonia_like
from data_manifests.laterality import SIDES, WHOLE_FILM, LungBorders, LungSide
from data_manifests.support.arrays import Floats
from data_manifests.support.csv_file import read_text_csv

ZoneWord = Literal["upper", "middle", "lower"]
Extent = Literal["", "small", "large"]
Depth = Literal["", "central", "peripheral"]
ZONE_WORDS: tuple[ZoneWord, ...] = ("upper", "middle", "lower")
EXTENTS: tuple[Extent, ...] = ("", "small", "large")
DEPTHS: tuple[Depth, ...] = ("", "central", "peripheral")
# Shares of the film: terciles of the area of RSNA's training boxes, and quartiles of the distance
# of their centres from the midline.
SMALL_BELOW, LARGE_FROM = 0.043, 0.083
CENTRAL_BELOW, PERIPHERAL_FROM = 0.155, 0.23
# Top and bottom of the lungs on the average film; a zone is named if half of it is covered, or if
# this share of the box lies in it.
LUNG_TOP, LUNG_BOTTOM = 0.12, 0.75
COVERED_SHARE, WITHIN_SHARE = 0.5, 0.35
_SAME_ZONE: dict[str, ZoneWord] = {"basal": "lower", "apical": "upper"}
_DEPTH = re.compile(r"\b(peripheral|central)", re.IGNORECASE)  # not among the 22 keywords


@dataclass(frozen=True)
class PlaceWords:
    """Side (None: not said), zones from above (none: not said), extent and depth of an opacity."""

    side: LungSide | None
    zones: tuple[ZoneWord, ...] = ()
    extent: Extent = ""
    depth: Depth = ""


def implied_words(xyxy: Floats, borders: LungBorders = WHOLE_FILM) -> PlaceWords:
    """The words that fit a box (4,) in shares of the film."""
    x1, y1, x2, y2 = xyxy.tolist()
    area, distance = (x2 - x1) * (y2 - y1), abs((x1 + x2) / 2 - borders.midline)
    return PlaceWords(
        side="left" if (x1 + x2) / 2 > borders.midline else "right",
        zones=zones_covered(y1, y2, borders),
        extent="small" if area < SMALL_BELOW else "large" if area >= LARGE_FROM else "",
        depth="central"
        if distance < CENTRAL_BELOW
        else "peripheral"
        if distance >= PERIPHERAL_FROM
        else "",
    )


def zones_covered(y1: float, y2: float, borders: LungBorders) -> tuple[ZoneWord, ...]:
    """The zones that an opacity from `y1` to `y2` (shares of the film's height) fills or lies in.

    >>> zones_covered(0.33, 0.70, WHOLE_FILM)
    ('middle', 'lower')
    """
    edges = (LUNG_TOP, borders.middle_starts, borders.lower_starts, LUNG_BOTTOM)
    named: list[ZoneWord] = []
    for zone, top, bottom in zip(ZONE_WORDS, edges[:-1], edges[1:], strict=True):
        covered = _overlap(y1, y2, top, bottom)
        # Below the lungs, and above them, a box still lies in the nearest zone.
        within = _overlap(
            y1, y2, 0.0 if zone == "upper" else top, 1.0 if zone == "lower" else bottom
        )
        if covered >= COVERED_SHARE * (bottom - top) or within >= WITHIN_SHARE * (y2 - y1):
            named.append(zone)
    return tuple(named)


def read_place_words(mined: Path) -> Mapping[str, tuple[PlaceWords, ...]]:
    """By study, the stated opacities of a folder of `pneumoloc attributes mine`.

    "Bilateral" is one opacity on either side. Hedged and denied findings are left out.

    Raises:
        DataError: no such table, or a damaged one.
    """
    table = read_text_csv(mined / "findings.csv")
    is_like = table["finding"].isin(read_pneumonia_like(mined))
    stated = table[is_like & (table["assertion"] == "present")]
    found: dict[str, list[PlaceWords]] = {}
    for study, attributes, sentence in zip(
        stated["study_id"], stated["attributes"], stated["sentence"], strict=True
    ):
        words = set(attributes.split(";"))
        for one in _places(words, sentence):
            here = found.setdefault(study, [])
            if one not in here:
                here.append(one)
    return {study: tuple(places) for study, places in found.items()}


def _places(words: set[str], sentence: str) -> list[PlaceWords]:
    named = {_SAME_ZONE.get(word, word) for word in words}
    zones = tuple(zone for zone in ZONE_WORDS if zone in named)
    sides = SIDES if "bilateral" in words else tuple(side for side in SIDES if side in words)
    if "diffuse" in words and sides and not zones:  # "throughout the left lung"
        zones = ZONE_WORDS
    extent: Extent = "small" if "small" in words else "large" if "large" in words else ""
    match = _DEPTH.search(sentence)
    depth: Depth = ""
    if match is not None:
        depth = "peripheral" if match.group(1).lower() == "peripheral" else "central"
    return [PlaceWords(side, zones, extent, depth) for side in sides or (None,)]


def _overlap(low: float, high: float, start: float, end: float) -> float:
    return max(0.0, min(high, end) - max(low, start))


def mirrored(xyxy: Floats) -> Floats:
    """Boxes (N, 4) in shares of the film as inner edge, top, outer edge, bottom.

    Edges are distances from the midline, so that a box and its mirror image are the same.
    """
    is_left = xyxy[:, 0] + xyxy[:, 2] > 1
    inner = np.where(is_left, xyxy[:, 0] - 0.5, 0.5 - xyxy[:, 2])
    outer = np.where(is_left, xyxy[:, 2] - 0.5, 0.5 - xyxy[:, 0])
    return np.stack([inner, xyxy[:, 1], outer, xyxy[:, 3]], axis=1)


def on_side(box: Floats, side: LungSide) -> Floats:
    """One mirrored box (4,) as x1, y1, x2, y2 on the patient's side."""
    inner, top, outer, bottom = box
    if side == "left":
        return np.array([0.5 + inner, top, 0.5 + outer, bottom])
    return np.array([0.5 - outer, top, 0.5 - inner, bottom])
