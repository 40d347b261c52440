"""The frame map and the brushes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_manifests.phantom.fields import blur, lattice_noise, smooth_step, stretch_lattice
from data_manifests.phantom.pose import Pose


@given(
    turn=st.floats(-15, 15),
    dx=st.floats(-0.1, 0.1),
    dy=st.floats(-0.1, 0.1),
    scale=st.floats(0.8, 1.2),
)
def test_the_grid_is_the_inverse_of_the_map_to_the_frame(
    turn: float, dx: float, dy: float, scale: float
) -> None:
    pose = Pose(rotation_deg=turn, shift_x=dx, shift_y=dy, scale=scale)
    x, y = pose.body_grid(16)
    body = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)
    centre = (np.arange(16) + 0.5) / 16
    expected = np.stack(np.meshgrid(centre, centre), axis=-1).reshape(-1, 2)
    assert np.allclose(pose.to_frame(body), expected, atol=1e-5)


def test_the_body_midline_is_the_middle_and_left_is_right() -> None:
    x, y = Pose().body_grid(10)
    assert x[0, 0] == pytest.approx(-0.45)
    assert x[0, -1] == pytest.approx(0.45)
    assert y[0, 0] == pytest.approx(0.05)


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.8), (0.8, 0.2)])
def test_the_smooth_step_is_its_cubic(low: float, high: float) -> None:
    values = np.linspace(-1, 2, 31, dtype=np.float32)
    for value, got in zip(values, smooth_step(values, low, high), strict=True):
        t = min(max((float(value) - low) / (high - low), 0.0), 1.0)
        assert got == pytest.approx(3 * t**2 - 2 * t**3, abs=1e-5)


def test_a_stretched_lattice_reproduces_straight_lines() -> None:
    rows, columns = np.mgrid[0:9, 0:7].astype(np.float32)
    field = stretch_lattice(2.0 * rows - 0.5 * columns, 24)
    place = (np.arange(24) + 0.5) / 24
    expected = 2.0 * (place * 6 + 1)[:, None] - 0.5 * (place * 4 + 1)[None, :]
    assert np.allclose(field, expected, atol=1e-4)


def test_noise_paints_the_same_pattern_at_every_size() -> None:
    small = lattice_noise(np.random.default_rng(1), 64, 10)
    large = lattice_noise(np.random.default_rng(1), 192, 10)
    assert np.allclose(small, large[1::3, 1::3], atol=1e-4)


@pytest.mark.parametrize("sigma", [0.0001, 0.01, 0.2])
def test_blur_keeps_an_even_field(sigma: float) -> None:
    field = np.full((100, 100), 0.7, dtype=np.float32)
    assert np.allclose(blur(field, sigma), 0.7, atol=1e-5)
