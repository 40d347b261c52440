"""Rectangles of sides and zones, from segmented lungs and from the average film."""

from __future__ import annotations

import numpy as np
import pytest

from data_manifests.boxes import Boxes
from detector.lungs import LungFields
from localize.grounding.film_anatomy import BANDS, FilmAnatomy


def segmented():
    labels = np.zeros((90, 100), np.uint8)
    labels[10:70, 10:40] = 1
    labels[10:70, 60:90] = 2
    labels[40:70, 40:60] = 3
    heart = Boxes(np.array([[40.0, 40, 60, 70]]), width=100, height=90)
    return LungFields(labels, 0.9, 0.8, 0.7, heart)


def test_segmented_lungs_give_their_own_rectangles():
    film = FilmAnatomy(100, 90, segmented())
    assert film.lung_rectangle("right").tolist() == [10, 10, 40, 70]
    assert film.lung_rectangle("left").tolist() == [60, 10, 90, 70]
    assert film.heart_rectangle().tolist() == [40, 40, 60, 70]
    assert film.zone_rectangle("left", "upper").tolist() == pytest.approx([60, 10, 90, 30])
    assert film.zone_rectangle("right", "lower").tolist() == pytest.approx([10, 50, 40, 70])


def test_perihilar_lies_beside_the_midline_on_either_side():
    film = FilmAnatomy(100, 90, segmented())
    assert film.zone_rectangle("right", "perihilar")[2] == 40
    assert film.zone_rectangle("left", "perihilar")[0] == 60


@pytest.mark.parametrize("zone", BANDS)
@pytest.mark.parametrize("size", [(40, 30), (30, 400), (1000, 1000)])
def test_every_rectangle_of_the_average_film_lies_inside_it(zone, size):
    film = FilmAnatomy(*size)
    for box in (
        film.zone_rectangle("left", zone),
        film.zone_rectangle("right", zone),
        film.heart_rectangle(),
    ):
        assert 0 <= box[0] < box[2] <= size[0]
        assert 0 <= box[1] < box[3] <= size[1]


def test_lungs_of_a_smaller_copy_give_the_same_rectangles():
    film, copy = FilmAnatomy(100, 90, segmented()), FilmAnatomy(300, 180, segmented())
    scales = [3, 2, 3, 2]
    for one, other in (
        (film.lung_rectangle("right"), copy.lung_rectangle("right")),
        (film.zone_rectangle("left", "upper"), copy.zone_rectangle("left", "upper")),
        (film.heart_rectangle(), copy.heart_rectangle()),
    ):
        np.testing.assert_allclose(one * scales, other)
