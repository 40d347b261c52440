"""Augmentation: boxes follow the pixels, draws depend on nothing but (seed, epoch, position)."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detector.augment import Augmentation, apply_augmentation, draw_augmentation

STILL = Augmentation(scale=1.0, shift_x=0.0, shift_y=0.0, gamma=1.0, contrast=1.0)


def bright_edges(pixels: np.ndarray) -> np.ndarray:
    """Sub-pixel edges of one bright rectangle: where rows and columns pass half its level."""
    columns, rows = pixels.max(axis=0), pixels.max(axis=1)

    def edges(profile):
        above = np.flatnonzero(profile >= 0.5)
        first, last = above[0], above[-1]
        before = profile[first - 1] if first else 0.0
        after = profile[last + 1] if last + 1 < len(profile) else 0.0
        # A pixel holds the share of it that is covered: partial cover moves the edge.
        low = first - before if before > 0 else first + (1 - profile[first])
        high = last + 1 + after if after > 0 else last + profile[last]
        return low, high

    (x1, x2), (y1, y2) = edges(columns), edges(rows)
    return np.array([x1, y1, x2, y2])


def centre_error(position):
    """Centre of the bright pixels minus centre of the box, and the scale."""
    drawn = draw_augmentation(3, 0, position)
    change = Augmentation(drawn.scale, drawn.shift_x, drawn.shift_y, gamma=1.0, contrast=1.0)
    pixels = np.zeros((120, 160), np.float32)
    box = np.array([[50.0, 40.0, 110.0, 90.0]])
    pixels[40:90, 50:110] = 1
    moved, boxes = apply_augmentation(pixels, box, change)
    assert np.abs(bright_edges(moved) - boxes[0]).max() < 0.75
    # By area, which has no edge to guess: bright mass and box agree within half a pixel a side.
    height, width = boxes[0, 3] - boxes[0, 1], boxes[0, 2] - boxes[0, 0]
    assert abs(moved.sum() - height * width) < 0.5 * (height + width)
    y, x = np.mgrid[:120, :160] + 0.5
    centre = np.array([(moved * x).sum(), (moved * y).sum()]) / moved.sum()
    return centre - (boxes[0, :2] + boxes[0, 2:]) / 2, drawn.scale


def test_a_planted_rectangle_stays_in_its_box():
    errors, scales = zip(*(centre_error(position) for position in range(24)), strict=True)
    assert np.abs(errors).max() < 0.08  # OpenCV interpolates in steps of 1/32 px
    # Mistaking pixel centres for corners would shift films by half of (scale - 1).
    shift = (np.array(scales) - 1) / 2
    slope = (np.mean(errors, axis=1) * shift).sum() / (shift**2).sum()
    assert abs(slope) < 0.2


def test_no_change_changes_nothing():
    pixels = np.random.default_rng(0).random((40, 50)).astype(np.float32)
    box = np.array([[1.5, 2.0, 30.25, 39.0]])
    same, boxes = apply_augmentation(pixels, box, STILL)
    np.testing.assert_allclose(same, pixels, atol=1e-6)
    np.testing.assert_array_equal(boxes, box)


def test_left_stays_left():
    pixels = np.zeros((64, 64), np.float32)
    pixels[:, :8] = 1
    for position in range(20):
        change = draw_augmentation(0, 1, position)
        moved, _ = apply_augmentation(pixels, np.zeros((0, 4)), change)
        assert moved[:, :32].mean() > moved[:, 32:].mean()


def test_a_box_that_leaves_the_frame_is_cut_and_then_dropped():
    pixels = np.zeros((100, 100), np.float32)
    boxes = np.array([[0.0, 0.0, 20.0, 20.0], [80.0, 40.0, 100.0, 60.0]])
    right = Augmentation(1.0, 0.1, 0.0, 1.0, 1.0)
    _, kept = apply_augmentation(pixels, boxes, right)
    np.testing.assert_allclose(kept, [[10, 0, 30, 20], [90, 40, 100, 60]])
    far = Augmentation(1.0, 0.15, 0.0, 1.0, 1.0)  # a quarter of the second box is left
    _, kept = apply_augmentation(pixels, boxes, far)
    np.testing.assert_allclose(kept, [[15, 0, 35, 20]])


@given(st.integers(0, 2**31), st.integers(0, 1000), st.integers(0, 10**6))
def test_draws_are_repeatable_and_in_range(seed, epoch, position):
    change = draw_augmentation(seed, epoch, position)
    assert change == draw_augmentation(seed, epoch, position)
    assert 0.82 <= change.scale <= 1.2
    assert max(abs(change.shift_x), abs(change.shift_y)) <= 0.07
    assert 0.7 <= change.gamma <= 1.4
    assert 0.75 <= change.contrast <= 1.25


def test_neighbouring_places_draw_differently():
    drawn = {draw_augmentation(*key) for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]}
    assert len(drawn) == 4


@given(st.integers(0, 200))
def test_levels_stay_in_range_and_keep_their_order(position):
    change = draw_augmentation(5, 0, position)
    still = Augmentation(1.0, 0.0, 0.0, change.gamma, change.contrast)
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    levels, _ = apply_augmentation(ramp, np.zeros((0, 4)), still)
    assert levels.dtype == np.float32
    assert levels.min() >= 0
    assert levels.max() <= 1
    assert (np.diff(levels[0]) >= 0).all()
