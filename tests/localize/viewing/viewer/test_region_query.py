from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data_manifests.laterality import LungBorders, is_on_side
from localize.viewing.viewer.region_query import find_regions
from tests.localize.viewing.viewer.served import KEYWORDS, planted_regions


def matches(*words):
    return [region.match for region in find_regions(planted_regions(), KEYWORDS, words).regions]


@pytest.mark.parametrize(
    ("words", "expected", "reason"),
    [
        (["left"], [1, 0], "the patient's left is on the right of the film"),
        (["right"], [0, 1], "whatever the head says of the word"),
        (["left", "lower"], [1, 0], "both must hold"),
        (["right", "lower"], [0, 0], "no region lies there"),
        (["left", "right"], [1, 1], "either side"),
        (["bilateral", "basal"], [1, 0], "basal is the lower zone of both sides"),
        (["hazy"], [1, 0.25], "by the head's probability"),
        (["right", "hazy"], [0, 0.25], "place and texture"),
        (["left", "mild"], [1, 0], "a word of which the head knows nothing changes nothing"),
        (["mild"], [0, 0], "and finds nothing"),
        ([], [0, 0], "nothing asked"),
    ],
)
def test_place_is_decided_by_position_and_texture_by_the_head(words, expected, reason):
    assert matches(*words) == expected, reason


def test_notes_say_how_each_word_was_decided():
    found = find_regions(planted_regions(), KEYWORDS, ["left", "hazy", "mild", "perihilar", "odd"])
    place, hazy, mild, perihilar, odd = found.notes
    assert place == "left: by where the region lies, 1 of 2."
    assert "attribute head, 0.20 to 0.80" in hazy
    assert "same probability (0.20 to 0.21)" in mild
    assert "position on the film does not decide" in perihilar
    assert "does not know the word" in odd


def test_no_region_on_the_wrong_side_is_ever_shown():
    random = np.random.default_rng(0)
    low = random.random((200, 2)) * 400
    xyxy = np.concatenate([low, low + 20 + random.random((200, 2)) * 90], axis=1)
    film = replace(
        planted_regions(),
        xyxy=xyxy,
        alpha=np.full(200, 0.005),
        region_attributes=random.random((200, 5)),
    )
    for side in ("left", "right"):
        found = find_regions(film, KEYWORDS, [side, "hazy"]).regions
        shown = np.array([region.match > 0 for region in found])
        assert shown.any()
        assert is_on_side(xyxy[shown], 512, side).all()


def test_a_film_without_regions_has_none():
    film = replace(planted_regions(), xyxy=np.zeros((0, 4)), alpha=np.zeros(0))
    film = replace(film, region_attributes=np.zeros((0, 5)))
    assert find_regions(film, KEYWORDS, ["left", "hazy"]).regions == ()


def test_sides_and_zones_are_those_of_the_film_s_own_lungs():
    film = planted_regions()
    midline = (film.xyxy[:, 2].max() + 1) / film.width
    moved = replace(film, borders=LungBorders(midline=float(midline)))
    found = find_regions(moved, KEYWORDS, ["right"]).regions
    assert [region.match for region in found] == [1, 1]
