from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.prepare import prepare_film


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (200, 100, (64, 32)),
        (100, 200, (32, 64)),
        (30, 30, (64, 64)),
        (999, 333, (64, 21)),
        (4000, 20, (64, 1)),
    ],
)
def test_the_longer_side_becomes_the_image_size(height, width, expected):
    film = prepare_film(np.random.default_rng(0).random((height, width), np.float32), 64)
    assert film.pixels.shape == expected
    assert film.pixels.dtype == np.float32


@given(st.integers(16, 300), st.integers(16, 300))
def test_the_whole_film_maps_onto_the_whole_frame(height, width):
    film = prepare_film(np.zeros((height, width), np.float32), 64)
    corners = film.to_model(np.array([[0.0, 0.0, width, height]]))[0]
    np.testing.assert_allclose(corners, [0, 0, film.pixels.shape[1], film.pixels.shape[0]])


def test_a_box_follows_its_pixels():
    pixels = np.zeros((300, 200), np.float32)
    pixels[90:210, 30:150] = 1
    film = prepare_film(pixels, 100)
    x1, y1, x2, y2 = film.to_model(np.array([[30.0, 90.0, 150.0, 210.0]]))[0]
    bright = film.pixels > 0.5
    assert np.abs(np.flatnonzero(bright.any(axis=0))[[0, -1]] - [x1, x2 - 1]).max() <= 1
    assert np.abs(np.flatnonzero(bright.any(axis=1))[[0, -1]] - [y1, y2 - 1]).max() <= 1


def test_windowed_films_and_dark_films_look_alike():
    rng = np.random.default_rng(1)
    pixels = rng.random((200, 200), np.float32)
    same = prepare_film(pixels, 100).pixels
    np.testing.assert_allclose(prepare_film(pixels * 0.05 + 0.2, 100).pixels, same, atol=1e-4)


def test_percentiles_are_those_of_the_film_and_markers_do_not_count():
    ramp = np.linspace(0.2, 0.6, 200 * 200, dtype=np.float32).reshape(200, 200)
    marked = ramp.copy()
    marked[:6, :6] = 1.0  # a lead marker of 0.1 % of the film
    expected = np.clip((ramp - 0.202) / (0.598 - 0.202), 0, 1)
    found = prepare_film(marked, 200).pixels
    np.testing.assert_allclose(found[10:], expected[10:], atol=0.01)


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_a_blank_film_stays_as_it_is(level):
    film = prepare_film(np.full((50, 40), level, np.float32), 64)
    assert np.isfinite(film.pixels).all()
    np.testing.assert_allclose(film.pixels, level, atol=1e-6)
