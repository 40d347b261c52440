"""Boxes: what is valid, and IoU against a slow loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_manifests.boxes import Boxes, box_areas, intersection_matrix, iou_matrix
from data_manifests.support.arrays import Floats

side = st.floats(0, 500, allow_nan=False)
extent = st.floats(0.5, 500, allow_nan=False)
box = st.tuples(side, side, extent, extent).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
boxes_of = st.lists(box, min_size=1, max_size=6).map(np.array)


def slow_iou(a: Floats, b: Floats) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@given(boxes_of, boxes_of)
def test_iou_equals_the_slow_loop_and_is_symmetric(a: Floats, b: Floats) -> None:
    got = iou_matrix(a, b)
    expected = [[slow_iou(x, y) for y in b] for x in a]
    np.testing.assert_allclose(got, expected, atol=1e-9)
    np.testing.assert_allclose(got, iou_matrix(b, a).T)
    assert ((got >= 0) & (got <= 1 + 1e-12)).all()
    np.testing.assert_allclose(np.diag(iou_matrix(a, a)), 1)


def test_areas_and_intersections_of_known_boxes() -> None:
    a = np.array([[0.0, 0, 10, 10]])
    b = np.array([[5.0, 5, 15, 25], [20, 20, 30, 30]])
    np.testing.assert_array_equal(box_areas(b), [200, 100])
    np.testing.assert_array_equal(intersection_matrix(a, b), [[25, 0]])
    assert iou_matrix(a, np.zeros((0, 4))).shape == (1, 0)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ([5, 1, 5, 9], "no width"),
        ([9, 1, 5, 9], "flipped"),
        ([-1, 1, 5, 9], "outside on the left"),
        ([0, 1, 101, 9], "outside on the right"),
        ([0, 1, 5, 51], "outside below"),
        ([math.nan, 1, 5, 9], "not a number"),
        ([0, 1, math.inf, 9], "infinite"),
    ],
)
def test_a_bad_box_is_refused(bad: list[float], reason: str) -> None:
    with pytest.raises(ValueError, match="box 1 must be finite"):
        Boxes(np.array([[0.0, 0, 100, 50], bad]), 100, 50)


def test_boxes_are_a_copy_that_nobody_changes() -> None:
    given_boxes = np.array([[0.0, 0, 100, 50]])
    boxes = Boxes(given_boxes, 100, 50)
    given_boxes[0, 0] = 99
    assert boxes.xyxy[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        boxes.xyxy[0, 0] = 1
    assert len(Boxes.empty(3, 4)) == 0
    with pytest.raises(ValueError, match="shape"):
        Boxes(np.zeros(4), 3, 4)


def test_selected_boxes_keep_their_order_and_film():
    boxes = Boxes(np.array([[0, 0, 1, 1], [1, 1, 3, 4], [2, 2, 5, 6]], float), 10, 20)
    chosen = boxes.select(np.array([2, 0]))
    np.testing.assert_array_equal(chosen.xyxy, [[2, 2, 5, 6], [0, 0, 1, 1]])
    assert (chosen.width, chosen.height) == (10, 20)
    assert len(boxes.select(np.zeros(3, bool))) == 0
