"""Shares of lungs and zones under boxes against pixel loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_manifests.laterality import WHOLE_FILM
from detector.lungs.lung_shares import (
    cardiothoracic_ratio,
    inside_shares,
    lung_cover,
    zone_cover,
    zone_map,
)
from tests.detector.lungs.fields import drawn_fields, no_fields

LUNGS = {"right": (4, 3, 14, 33), "left": (20, 6, 34, 30), "size": (40, 36)}


def slow_cover(parts, part, boxes, scores):
    """A loop over pixels: the mean of the highest score at each."""
    found = []
    for y, x in zip(*np.nonzero(parts == part), strict=True):
        over = [
            score
            for (x1, y1, x2, y2), score in zip(boxes, scores, strict=True)
            if x1 <= x + 0.5 < x2 and y1 <= y + 0.5 < y2
        ]
        found.append(max(over, default=0.0))
    return sum(found) / len(found)


starts = st.floats(0, 25)
sides = st.floats(1, 14)


@settings(max_examples=25)
@given(st.lists(st.tuples(starts, starts, sides, sides, st.floats(0, 1)), max_size=4))
def test_cover_equals_a_loop_over_pixels(given_boxes):
    fields = drawn_fields(**LUNGS)
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h, _ in given_boxes]).reshape(-1, 4)
    scores = np.array([score for *_, score in given_boxes])
    zones = zone_map(fields)
    expected = [slow_cover(zones, zone, boxes, scores) for zone in range(1, 7)]
    np.testing.assert_allclose(zone_cover(fields, boxes, scores), expected, atol=1e-6)
    expected = [slow_cover(fields.labels, part, boxes, scores) for part in (1, 2)]
    np.testing.assert_allclose(lung_cover(fields, boxes, scores), expected, atol=1e-6)


def test_zones_are_thirds_of_each_lung_from_the_right_upper_to_the_left_lower():
    fields = drawn_fields(right=(0, 0, 10, 30), left=(20, 0, 30, 30), size=(30, 30))
    zones = zone_map(fields)
    assert [zones[y, x] for x in (5, 25) for y in (5, 15, 25)] == [1, 2, 3, 4, 5, 6]
    assert zones[5, 15] == 0


def test_heart_belongs_to_no_zone_and_no_lung():
    fields = drawn_fields(**LUNGS, heart=(12, 20, 22, 34))
    assert (zone_map(fields)[fields.labels == 3] == 0).all()
    assert inside_shares(fields, np.array([(15.0, 30, 19, 34)]))[0] == 0


def test_share_of_a_box_inside_the_lungs():
    fields = drawn_fields(**LUNGS)
    boxes = np.array([(4, 3, 14, 33), (14, 3, 20, 33), (9, 10, 19, 20)], np.float64)
    assert inside_shares(fields, boxes).tolist() == [1.0, 0.0, 0.5]


def test_without_lungs_the_halves_of_the_film_stand_for_them():
    fields = no_fields(100, 100)
    left_lower = np.array([(50.0, 50, 100, 100)])
    cover = zone_cover(fields, left_lower)
    assert cover.tolist() == [0, 0, 0, 0, 0, 1]
    assert lung_cover(fields, left_lower).tolist() == [0, 0.5]
    assert inside_shares(fields, left_lower).tolist() == [1.0]
    rectangles = np.round(WHOLE_FILM.zone_rectangles() * 100).astype(int)
    for number, (x1, y1, x2, y2) in enumerate(rectangles, start=1):
        assert (zone_map(fields)[y1:y2, x1:x2] == number).all()


def test_cover_of_a_missing_lung_is_not_known():
    fields = drawn_fields(right=(4, 3, 14, 33), left=None, size=(40, 36))
    right, left = lung_cover(fields, np.array([(0.0, 0, 40, 36)]))
    assert right == 1
    assert math.isnan(left)
    assert np.isnan(zone_cover(fields, np.zeros((0, 4)))).tolist() == [False] * 3 + [True] * 3


def test_cardiothoracic_ratio_is_heart_width_by_chest_width():
    fields = drawn_fields(**LUNGS, heart=(12, 20, 27, 34))
    assert cardiothoracic_ratio(fields) == pytest.approx((27 - 12) / (34 - 4))


@pytest.mark.parametrize("parts", [{**LUNGS}, {**LUNGS, "left": None, "heart": (12, 20, 27, 34)}])
def test_no_cardiothoracic_ratio_without_heart_or_lung(parts):
    assert cardiothoracic_ratio(drawn_fields(**parts)) is None
