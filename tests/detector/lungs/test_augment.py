"""Augmentation of masked films: masks follow the film, and what is painted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detector.lungs.augment import LungChange, changed_film, draw_change, picture_without_lungs
from detector.lungs.config import LungTrainConfig
from detector.lungs.masked_films import UNKNOWN

STILL = LungChange(0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, None, 0, 0)


def planted(side=96):
    """A dark film with one bright part for each mask."""
    masks = np.zeros((3, side, side), np.uint8)
    masks[0, 20:70, 10:40] = masks[1, 20:70, 56:86] = masks[2, 74:90, 30:60] = 1
    return (masks.max(axis=0) * 255).astype(np.uint8), masks


def rng():
    return np.random.default_rng(5)


def test_no_change_at_the_same_size_gives_the_film_back():
    pixels, masks = planted()
    film, moved = changed_film(pixels, masks, STILL, 96, rng())
    np.testing.assert_allclose(film, pixels / 255, atol=1e-6)
    np.testing.assert_array_equal(moved, masks)


@pytest.mark.parametrize(
    "change",
    [
        {"angle": 20.0},
        {"zoom": 0.7},
        {"zoom": 1.3, "shift_x": 0.1},
        {"stretch": 1.15, "shift_y": -0.1},
    ],
)
def test_masks_follow_the_film(change):
    pixels, masks = planted()
    film, moved = changed_film(pixels, masks, replace(STILL, **change), 64, rng())
    assert ((film > 0.5) != (moved.max(axis=0) == 1)).mean() < 0.02
    assert not (moved[0] & moved[1]).any()


def test_unknown_pixels_stay_unknown():
    pixels, masks = planted()
    masks[2] = UNKNOWN
    _, moved = changed_film(pixels, masks, replace(STILL, zoom=0.5), 64, rng())
    assert (moved[2] == UNKNOWN).all()
    assert (moved[0, :4] == 0).all()


def test_right_stays_on_the_left_of_the_film():
    pixels, masks = planted()
    for seed in range(30):
        generator = np.random.default_rng(seed)
        change = draw_change(generator, LungTrainConfig())
        _, moved = changed_film(pixels, masks, change, 64, generator)
        if moved[0].any() and moved[1].any():
            assert np.nonzero(moved[0])[1].mean() < np.nonzero(moved[1])[1].mean()


def test_white_lung_is_as_bright_as_tissue_and_stays_a_lung():
    side = 96
    pixels = np.full((side, side), 200, np.uint8)
    masks = planted()[1]
    pixels[masks[:2].max(axis=0) == 1] = 40
    change = replace(STILL, white_lung=1, white=1.0)
    film, moved = changed_film(pixels, masks, change, side, rng())
    assert film[45, 70] > 0.7
    assert film[45, 25] < 0.2
    np.testing.assert_array_equal(moved, masks)


def test_pictures_without_lungs_are_turned_films_or_drawings():
    film = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    made = [picture_without_lungs(film, np.random.default_rng(seed)) for seed in range(40)]
    turned = [np.rot90(film, turn) for turn in (1, 2, 3)]
    is_turned = [any(np.array_equal(one, turn) for turn in turned) for one in made]
    assert 10 < sum(is_turned) < 38
    assert all(one.shape == film.shape and not np.array_equal(one, film) for one in made)
