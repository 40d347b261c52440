"""Left, right and zones: against the planted truth of phantom films, and box by box."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_manifests.laterality import (
    SIDES_ACROSS_FILM,
    WHOLE_FILM,
    LungBorders,
    is_on_side,
    places_of,
    sides_of,
    widths_by_side,
    zones_of,
)
from data_manifests.phantom.case import PhantomOptions, make_case

WIDTH, HEIGHT = 1000, 800


@pytest.fixture(scope="module")
def planted():
    """Planted boxes of upright phantom films, each with its true side and thirds of the lung."""
    options = PhantomOptions(size=128, seed=3, prevalence=1.0)
    found = []
    for index in range(60):
        case = make_case(options, index)
        if case.plan.is_rotated or case.plan.is_clipped:
            continue
        truths = zip(case.opacity.boxes, case.truth.regions, strict=True)
        found += [(box, truth.side, truth.thirds) for box, truth in truths]
    return found


def test_the_patient_s_right_lung_is_on_the_left_of_the_film(planted):
    boxes = np.array([box for box, _, _ in planted])
    sides = np.array([side for _, side, _ in planted])
    assert {"left", "right"} == set(sides)
    for side in ("left", "right"):
        np.testing.assert_array_equal(is_on_side(boxes, 128, side), sides == side)
    assert (boxes[sides == "right"][:, [0, 2]].mean(axis=1) < 64).all()


def test_sides_and_zones_of_planted_opacities_agree_with_the_truth(planted):
    boxes = np.array([box for box, _, _ in planted])
    for (_, side, _), found in zip(planted, sides_of(boxes, 128), strict=True):
        assert found in (side, "central")
    named = [
        zone in thirds
        for zone, (_, _, thirds) in zip(zones_of(boxes, 128), planted, strict=True)
        if zone != "whole"
    ]
    assert len(named) > 40
    assert np.mean(named) > 0.9


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
    assert [place.words() for place in places_of([xyxy], WIDTH, HEIGHT)] == [words], reason


starts = st.integers(0, 900)


@given(x=starts, width=st.integers(1, 100), y=st.integers(0, 700), height=st.integers(1, 100))
def test_mirrored_box_changes_side_and_keeps_its_zone(x, width, y, height):
    box = (x, y, x + width, y + height)
    place, mirrored = places_of([box, (WIDTH - box[2], y, WIDTH - x, box[3])], WIDTH, HEIGHT)
    assert mirrored.zone == place.zone
    assert mirrored.side == {"left": "right", "right": "left", "central": "central"}[place.side]


@given(x=starts, width=st.integers(1, 100))
def test_box_within_one_half_of_the_film_has_the_other_side_s_name(x, width):
    box = np.array([(x, 300, x + width, 400)], np.float64)
    if x >= WIDTH / 2:
        assert sides_of(box, WIDTH) == ["left"]
    if x + width <= WIDTH / 2:
        assert sides_of(box, WIDTH) == ["right"]
    assert widths_by_side(box, WIDTH).sum() == width


def test_widths_follow_each_film_s_own_size():
    boxes = np.array([(40, 0, 70, 10), (40, 0, 70, 10)], np.float64)
    found = widths_by_side(boxes, np.array([100.0, 200.0]))
    np.testing.assert_array_equal(found, [(10, 20), (30, 0)])


def test_the_six_zones_tile_the_film_from_the_right_upper_to_the_left_lower():
    zones = WHOLE_FILM.zone_rectangles()
    pixels = np.zeros((100, 100), int)
    for x1, y1, x2, y2 in np.round(zones * 100).astype(int):
        pixels[y1:y2, x1:x2] += 1
    assert (pixels == 1).all()
    places = places_of(zones * (WIDTH, HEIGHT, WIDTH, HEIGHT), WIDTH, HEIGHT)
    assert [place.side for place in places] == [s for s in SIDES_ACROSS_FILM for _ in range(3)]
    # The lower field is half of the film, so its own rectangle counts as a whole lung.
    assert [place.zone for place in places[:3]] == ["upper", "middle", "whole"]


def test_given_lung_fields_move_the_borders():
    fields = LungBorders(midline=0.3, middle_starts=0.1, lower_starts=0.2)
    box = [(350, 200, 450, 260)]
    assert places_of(box, WIDTH, HEIGHT)[0].words() == "right upper zone"
    assert places_of(box, WIDTH, HEIGHT, fields)[0].words() == "left lower zone"


@pytest.mark.parametrize("fields", [(0.0, 0.3, 0.5), (0.5, 0.5, 0.3), (0.5, 0.3, float("nan"))])
def test_impossible_lung_fields_are_refused(fields):
    with pytest.raises(ValueError, match="must"):
        LungBorders(*fields)
