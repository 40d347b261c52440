"""`dictate_freely`: a report of a film's boxes as people dictate, with much left out.

Side, zones, depth and size of an opacity follow from its box. Words vary, opacities go unsaid,
findings are hedged, and each reader draws the borders between zones a little differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_manifests.laterality import WHOLE_FILM, LungBorders, sides_of
from data_manifests.support.arrays import Floats
from localize.adaptation.place_words import PlaceWords, ZoneWord, implied_words
from localize.viewing.gallery.cards import Corners

NOUNS = ("opacity", "consolidation", "airspace opacity", "infiltrate")
ZONE_NAMES: dict[ZoneWord, tuple[str, ...]] = {
    "upper": ("upper zone", "upper lobe", "upper lung"),
    "middle": ("mid zone", "middle zone", "mid lung"),
    "lower": ("lower zone", "base", "lower lobe", "lower lung"),
}
SHORT_NAMES: dict[ZoneWord, str] = {"upper": "upper", "middle": "mid", "lower": "lower"}
HEDGES = ("Possible", "Questionable", "Probable")
CLEAR = (
    "The lungs are clear.",
    "No focal opacity.",
    "No consolidation or effusion.",
    "Lungs are clear. No infiltrate.",
)


@dataclass(frozen=True)
class DictationHabits:
    """How much a report leaves out; shares of opacities or of films.

    `unsaid` opacities are left out, but never a film's only one. `hedged` films have hedged
    findings. `without_zone` opacities have their side alone. `in_one_word` films with opacities on
    both sides are called bilateral, with nothing else. `sized` and `with_depth` opacities have a
    word of size (small, large) and depth (central, peripheral) where one fits. `border_sd` is the
    standard deviation of a reader's borders between zones, share of the film's height.
    """

    unsaid: float = 0.15
    hedged: float = 0.10
    without_zone: float = 0.15
    in_one_word: float = 0.10
    sized: float = 0.30
    with_depth: float = 0.35
    border_sd: float = 0.02


HABITS = DictationHabits()


def dictate_freely(
    boxes: Sequence[Corners],
    width: int,
    height: int,
    random: np.random.Generator,
    habits: DictationHabits = HABITS,
) -> str:
    """The report of a film with opacities in `boxes` (film pixels); a clear film without boxes."""
    if not boxes:
        return str(random.choice(CLEAR))
    said = [box for box in boxes if random.random() >= habits.unsaid]
    said = said or [boxes[int(random.integers(len(boxes)))]]
    corners = np.array(sorted(said), np.float64)
    sides = sides_of(corners, width)
    hedge = str(random.choice(HEDGES)) if random.random() < habits.hedged else ""
    if {"left", "right"} <= set(sides) and random.random() < habits.in_one_word:
        return _sentence(hedge, "bilateral", _plural(str(random.choice(NOUNS))))
    middle, lower = random.normal(0.0, habits.border_sd, 2)
    borders = LungBorders(
        middle_starts=WHOLE_FILM.middle_starts + middle,
        lower_starts=WHOLE_FILM.lower_starts + lower,
    )
    shares: Floats = corners / (width, height, width, height)
    sentences = [
        _opacity(implied_words(box, borders), side == "central", hedge, random, habits)
        for box, side in zip(shares, sides, strict=True)
    ]
    return " ".join(dict.fromkeys(sentences))


def _opacity(
    words: PlaceWords,
    is_midline: bool,
    hedge: str,
    random: np.random.Generator,
    habits: DictationHabits,
) -> str:
    extent = words.extent if random.random() < habits.sized else ""
    depth = words.depth if random.random() < habits.with_depth else ""
    noun = str(random.choice(NOUNS))
    if is_midline:
        return _sentence(hedge, extent, noun, "in the perihilar region")
    if random.random() < habits.without_zone or not words.zones:
        where = f"in the {words.side} lung"
    elif len(words.zones) == len(ZONE_NAMES):
        where = f"throughout the {words.side} lung"
    elif len(words.zones) == 1:
        where = f"in the {words.side} {random.choice(ZONE_NAMES[words.zones[0]])}"
    else:
        where = f"in the {words.side} {' and '.join(SHORT_NAMES[z] for z in words.zones)} zones"
    return _sentence(hedge, extent, depth, noun, where)


def _sentence(*words: str) -> str:
    text = " ".join(word for word in words if word)
    return f"{text[0].upper()}{text[1:]}."


def _plural(noun: str) -> str:
    return f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
