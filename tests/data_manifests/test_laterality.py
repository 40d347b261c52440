from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_manifests.laterality import box_place

WIDTH, HEIGHT = 1000, 800


@pytest.mark.parametrize(
    ("xyxy", "words", "reason"),
    [
        ((600, 500, 800, 700), "left lower zone", "the right half of the film is the left lung"),
        ((200, 500, 400, 700), "right lower zone", "the left half of the film is the right lung"),
        ((600, 100, 800, 200), "left upper zone", "centre at 0.19 of the height"),
        ((600, 250, 800, 400), "left middle zone", "centre at 0.41 of the height"),
        ((600, 100, 800, 500), "left lung", "half of the film's height has no single zone"),
        ((400, 500, 600, 700), "lower zone near the midline", "as much on either side"),
        ((400, 100, 600, 700), "midline", "neither side nor zone"),
        ((450, 500, 750, 700), "left lower zone", "one sixth on the other side is a margin"),
        ((250, 500, 550, 700), "right lower zone", "one sixth on the other side is a margin"),
    ],
)
def test_place_of_a_box(xyxy, words, reason):
    assert box_place(xyxy, WIDTH, HEIGHT).words() == words, reason


sides = st.integers(0, 900)


@given(x=sides, width=st.integers(1, 100), y=st.integers(0, 700), height=st.integers(1, 100))
def test_mirrored_box_changes_side_and_keeps_its_zone(x, width, y, height):
    place = box_place((x, y, x + width, y + height), WIDTH, HEIGHT)
    mirrored = box_place((WIDTH - x - width, y, WIDTH - x, y + height), WIDTH, HEIGHT)
    assert mirrored.zone == place.zone
    assert mirrored.side == {"left": "right", "right": "left", "central": "central"}[place.side]


@given(x=sides, width=st.integers(1, 100))
def test_box_within_one_half_of_the_film_has_the_other_side_s_name(x, width):
    place = box_place((x, 300, x + width, 400), WIDTH, HEIGHT)
    if x >= WIDTH / 2:
        assert place.side == "left"
    if x + width <= WIDTH / 2:
        assert place.side == "right"
