"""`place_words`: what a film's boxes say of side, zone and number, by where they lie.

A word of place holds for a film when one of its boxes lies there, so its probability follows from
the calibrated scores of the boxes and cannot contradict them. Side and zone are those of
`data_manifests.laterality`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from data_manifests.laterality import WHOLE_FILM, places_of
from data_manifests.support.arrays import Bools, Floats

# Shares of the film's height: the upper half of the upper zone, the lower half of the lower one
# (lungs end at about three quarters of a film).
APICAL_ENDS = WHOLE_FILM.middle_starts / 2 + 0.04
BASAL_STARTS = 0.62
BOX_WORDS = (
    "left",
    "right",
    "upper",
    "middle",
    "lower",
    "apical",
    "basal",
    "perihilar",
)
PLACE_WORDS = (*BOX_WORDS, "bilateral", "diffuse", "focal", "multifocal")


def box_place_words(xyxy: Floats, width: float, height: float) -> Mapping[str, Bools]:
    """For each of BOX_WORDS, which of N boxes it describes; (N,)."""
    places = places_of(xyxy, width, height)
    side = np.array([place.side for place in places], dtype=object)
    zone = np.array([place.zone for place in places], dtype=object)
    centre = (xyxy[:, 1] + xyxy[:, 3]) / 2 / height
    return {
        **{word: side == word for word in ("left", "right")},
        **{word: zone == word for word in ("upper", "middle", "lower")},
        "apical": (zone == "upper") & (centre < APICAL_ENDS),
        "basal": (zone == "lower") & (centre >= BASAL_STARTS),
        "perihilar": (side == "central") & (zone != "upper"),
    }


def film_place_words(
    xyxy: Floats, scores: Floats, width: float, height: float
) -> Mapping[str, float]:
    """Probability of each of PLACE_WORDS for a film whose N boxes are right with `scores` (N,).

    Boxes are taken as independent. `bilateral`: one on either side; `diffuse`: one on either side
    that spans more than one zone; `focal`: exactly one; `multifocal`: two or more.
    """
    wrong = 1 - scores

    def any_of(chosen: Bools) -> float:
        return float(1 - np.prod(wrong[chosen]))

    words = box_place_words(xyxy, width, height)
    found = {word: any_of(chosen) for word, chosen in words.items()}
    has_no_zone = ~(words["upper"] | words["middle"] | words["lower"])
    none = float(np.prod(wrong))
    one = float(sum(scores[k] * np.prod(np.delete(wrong, k)) for k in range(len(scores))))
    return {
        **found,
        "bilateral": found["left"] * found["right"],
        "diffuse": any_of(words["left"] & has_no_zone) * any_of(words["right"] & has_no_zone),
        "focal": one,
        "multifocal": max(0.0, 1 - none - one),
    }


def true_place_words(xyxy: Floats, width: float, height: float) -> Mapping[str, bool]:
    """Which of PLACE_WORDS hold for a film with these N true boxes."""
    certain = film_place_words(xyxy, np.ones(len(xyxy)), width, height)
    return {word: probability > 0.5 for word, probability in certain.items()}


def words_of_boxes(xyxy: Floats, width: float, height: float) -> Sequence[tuple[str, ...]]:
    """The words of BOX_WORDS that describe each of N boxes."""
    words = box_place_words(xyxy, width, height)
    return [tuple(word for word in BOX_WORDS if words[word][k]) for k in range(len(xyxy))]
