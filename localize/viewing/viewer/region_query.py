"""`find_regions`: the regions of a film that fit words such as "left lower hazy".

Words of place are decided by where a region lies, so that "left" is always the patient's left. All
other words are decided by the attribute head's probability for the region; if the head
gives all regions of the film nearly the same probability, the word is not used, and a note says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_manifests.laterality import Zone, sides_of, zones_of
from data_manifests.support.arrays import Bools, Floats
from localize.viewing.gallery.cards import Corners

if TYPE_CHECKING:  # torch takes seconds to import
    from localize.inference.film_regions import FilmRegions

SIDE_WORDS = ("left", "right", "bilateral")
ZONE_WORDS: dict[str, Zone] = {
    "upper": "upper",
    "apical": "upper",
    "middle": "middle",
    "lower": "lower",
    "basal": "lower",
}
# Places inside the chest that a position on the film does not decide.
UNDECIDED_PLACES = ("lingular", "perihilar", "retrocardiac")
# Probabilities of all regions of a film that differ by less than this say nothing about a region.
LEAST_SPREAD = 0.05
DECIMALS = 4


@dataclass(frozen=True)
class FoundRegion:
    """A region in film pixels; `alpha` its weight, `match` from 0 (does not fit) to 1."""

    xyxy: Corners
    alpha: float
    match: float


@dataclass(frozen=True)
class FoundRegions:
    """All regions of a film, best first, and notes in words on how they were found."""

    regions: tuple[FoundRegion, ...]
    notes: tuple[str, ...]


def find_regions(
    film: FilmRegions, keywords: tuple[str, ...], words: Sequence[str]
) -> FoundRegions:
    """How well each region fits all of some words.

    Args:
        film: K regions, best first.
        keywords: the C words that the head predicts, in the order of `film.region_attributes`.
        words: the keywords to fit.
    """
    is_fitting, notes = _places(film, words)
    match = is_fitting.astype(np.float64)
    used = bool(notes)
    for word in words:
        if word in SIDE_WORDS or word in ZONE_WORDS:
            continue
        if word in UNDECIDED_PLACES:
            notes.append(f"{word}: not used, as the position on the film does not decide it.")
        elif word not in keywords:
            notes.append(f"{word}: not used, as the model does not know the word.")
        else:
            found = film.region_attributes[:, keywords.index(word)]
            is_used, note = _head_note(word, found)
            notes.append(note)
            if is_used:
                match *= found / found.max()
                used = True
    if not used:
        match = np.zeros(len(film.xyxy))
    corners = film.xyxy.round(2).tolist()
    return FoundRegions(
        tuple(
            FoundRegion((x1, y1, x2, y2), round(float(alpha), DECIMALS), round(float(value), 3))
            for (x1, y1, x2, y2), alpha, value in zip(corners, film.alpha, match, strict=True)
        ),
        tuple(notes),
    )


def _places(film: FilmRegions, words: Sequence[str]) -> tuple[Bools, list[str]]:
    """Which regions lie on one of the sides and in one of the zones among the words."""
    sides = [word for word in SIDE_WORDS if word in words]
    zones = [word for word in words if word in ZONE_WORDS]
    is_fitting = np.ones(len(film.xyxy), dtype=np.bool_)
    if sides and "bilateral" not in sides and len(sides) == 1:
        found = sides_of(film.xyxy, film.width, film.borders)
        is_fitting &= np.array([side == sides[0] for side in found], bool)
    if zones:
        wanted = {ZONE_WORDS[word] for word in zones} | {"whole"}  # a tall region covers all zones
        lying = zones_of(film.xyxy, film.height, film.borders)
        is_fitting &= np.array([zone in wanted for zone in lying], bool)
    if not (sides or zones):
        return is_fitting, []
    place = " ".join([*sides, *zones])
    note = f"{place}: by where the region lies, {int(is_fitting.sum())} of {len(is_fitting)}."
    return is_fitting, [note]


def _head_note(word: str, probabilities: Floats) -> tuple[bool, str]:
    """Whether a word tells the regions of a film apart, and a sentence on it."""
    if not len(probabilities):
        return False, f"{word}: the film has no region."
    low, high = float(probabilities.min()), float(probabilities.max())
    if high - low < LEAST_SPREAD:
        return False, (
            f"{word}: not used, as the model gives all regions about the same probability "
            f"({low:.2f} to {high:.2f})."
        )
    return True, f"{word}: by the attribute head, {low:.2f} to {high:.2f}."
