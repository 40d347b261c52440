"""Dice of lung fields over the pixels that a mask knows, and swapped sides."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.data.lung_films import LungFilm, jsrt_known
from experiments.lungs.dice import dice, dice_of, is_swapped, mean_estimates
from tests.detector.lungs.fields import drawn_fields

RIGHT, LEFT = (4, 3, 14, 33), (20, 6, 34, 30)


def film_of(fields, known=None):
    masks = np.array([fields.labels == part for part in (1, 2, 3)])
    known = np.ones_like(masks) if known is None else known
    return LungFilm("a", "p", "g", "test", np.zeros((36, 40), np.float32), masks, known)


def test_dice_equals_a_loop_over_known_pixels():
    rng = np.random.default_rng(2)
    found, truth, known = rng.random((3, 20, 20)) > 0.5
    both = sum(
        bool(f and t) for f, t, k in zip(found.flat, truth.flat, known.flat, strict=True) if k
    )
    total = sum(
        int(f) + int(t) for f, t, k in zip(found.flat, truth.flat, known.flat, strict=True) if k
    )
    assert dice(found, truth, known) == pytest.approx(2 * both / total)


def test_dice_of_a_part_that_the_source_does_not_know_is_not_a_number():
    fields = drawn_fields(right=RIGHT, left=LEFT, size=(40, 36))
    assert dice_of(fields, film_of(fields), 1) == 1
    assert np.isnan(dice_of(fields, film_of(fields), 3))


def test_sides_are_swapped_where_a_lung_lies_on_the_other_ones_mask():
    fields = drawn_fields(right=RIGHT, left=LEFT, size=(40, 36))
    other = drawn_fields(right=LEFT, left=RIGHT, size=(40, 36))
    assert not is_swapped(fields, film_of(fields))
    assert is_swapped(other, film_of(fields))


def test_mean_leaves_out_what_is_not_known():
    table = np.array([[0.9, np.nan], [0.7, 0.5], [0.8, np.nan]])
    right, left = mean_estimates(table, np.array([0, 1, 2]), seed=0)
    assert (right.value, left.value) == pytest.approx((0.8, 0.5))
    assert right.low <= 0.8 <= right.high


def test_lungs_of_jsrt_are_unknown_from_their_inner_edge_to_the_midline():
    labels = np.zeros((10, 12), np.uint8)
    labels[2:8, 1:4], labels[2:8, 8:11], labels[6:9, 4:9] = 1, 2, 3
    right, left, heart = jsrt_known(labels)
    assert heart.all()
    for lung, columns in ((right, slice(4, 6)), (left, slice(6, 9))):
        expected = np.ones((10, 12), bool)
        expected[2:8, columns] = False
        expected[6:9, columns] = False
        expected[2:6, 8] = True
        np.testing.assert_array_equal(lung, expected)
