"""Sides and zones of `LungFields` relative to the lungs of a film."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data_manifests.laterality import WHOLE_FILM, Place, places_of
from detector.lungs.lung_fields import LungFields
from tests.detector.lungs.fields import drawn_fields, no_fields


def test_borders_are_the_thirds_and_the_middle_between_the_lungs():
    fields = drawn_fields(right=(10, 20, 40, 80), left=(60, 20, 90, 80), size=(100, 100))
    borders = fields.borders
    assert (borders.midline, borders.middle_starts, borders.lower_starts) == pytest.approx(
        (0.5, 0.4, 0.6)
    )


def test_midline_follows_lungs_that_lie_off_centre():
    fields = drawn_fields(right=(100, 20, 140, 80), left=(150, 20, 190, 80), size=(200, 100))
    box = [(148, 30, 160, 36)]
    assert fields.places(box) == [Place("left", "upper")]
    assert fields.point_place(120, 50) == Place("right", "middle")
    assert fields.point_place(120, 79) == Place("right", "lower")


def test_box_as_tall_as_most_of_the_lung_has_no_single_zone():
    fields = drawn_fields(right=(10, 40, 40, 60), left=(60, 40, 90, 60), size=(100, 100))
    assert fields.places([(10, 41, 30, 59)]) == [Place("right", "whole")]
    assert fields.places([(10, 43, 30, 55)])[0].zone == "middle"


def test_film_without_lungs_has_the_borders_of_the_average_film():
    fields = no_fields(80, 60)
    boxes = np.array([(2, 2, 20, 14), (45, 40, 70, 55)], np.float64)
    assert fields.borders == WHOLE_FILM
    assert not fields.is_found
    assert fields.places(boxes) == places_of(boxes, 80, 60)


def test_midline_beside_a_single_lung_is_on_its_inner_side():
    right = drawn_fields(right=(10, 20, 40, 80), left=None, size=(100, 100))
    left = drawn_fields(right=None, left=(60, 20, 90, 80), size=(100, 100))
    assert 0.40 < right.borders.midline < 0.5
    assert 0.5 < left.borders.midline < 0.60
    assert "left lung" in right.reason
    assert right.is_found
    assert not right.is_complete


def test_labels_cannot_be_changed_afterwards():
    fields = no_fields(20, 20)
    with pytest.raises(ValueError, match="read-only"):
        fields.labels[0, 0] = 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.zeros((4, 4, 1), np.uint8)}, r"uint8 \(H, W\)"),
        ({"labels": np.zeros((4, 4), np.int64)}, "int64"),
        ({"labels": np.full((4, 4), 7, np.uint8)}, r"got \[7\]"),
        ({"right_score": None}, "right lung must have both"),
        ({"heart_score": 0.5}, "heart must have both a box"),
        ({"left_score": 1.5}, r"left lung must be in \[0, 1\]"),
        ({"reason": "too dark"}, "reason must"),
    ],
)
def test_fields_that_contradict_themselves_are_refused(change, message):
    fields = drawn_fields(right=(1, 1, 4, 8), left=(6, 1, 9, 8), size=(10, 10))
    with pytest.raises(ValueError, match=message):
        replace(fields, **change)


def test_fields_need_a_reason_where_a_lung_is_missing():
    with pytest.raises(ValueError, match="reason must"):
        LungFields(np.zeros((4, 4), np.uint8), None, None)
