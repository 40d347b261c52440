"""Agreement of boxes with words of place, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from localize.grounding.film_anatomy import FilmAnatomy
from localize.grounding.place_agreement import (
    AgreementWeights,
    PlaceWords,
    place_agreement,
    regions_of_words,
)

FILM = FilmAnatomy(1000, 1000)  # midline 500; zones from 140, 320, 500 to 680


def agreement(box, words, **weights):
    boxes = np.array([box], np.float64)
    return place_agreement(boxes, words, FILM, AgreementWeights(**weights))[0]


@pytest.mark.parametrize(
    ("x1", "x2", "expected"),
    [(600, 800, 1.0), (400, 900, 0.8), (200, 900, 4 / 7), (300, 600, 0.0), (100, 300, 0.0)],
)
def test_side_is_the_share_of_the_width_and_nothing_below_a_half(x1, x2, expected):
    assert agreement((x1, 300, x2, 400), PlaceWords("left")) == pytest.approx(expected)


def test_the_patients_right_is_on_the_left_of_the_film():
    assert agreement((100, 300, 300, 400), PlaceWords("right")) == 1.0


def test_zone_falls_as_a_normal_curve_with_the_distance_from_its_band():
    words = PlaceWords(None, ("upper",))
    assert agreement((100, 200, 200, 300), words) == 1.0
    below = agreement((100, 400, 200, 420), words, zone_sd=0.5)  # centre 410, band ends at 320
    assert below == pytest.approx(np.exp(-0.5 * ((90 / 180) / 0.5) ** 2))


def test_of_several_zones_the_best_counts():
    both = PlaceWords(None, ("upper", "lower"))
    assert agreement((100, 550, 200, 650), both) == 1.0


def test_size_falls_with_the_logarithm_of_the_area():
    twice = agreement((0, 0, 350, 200), PlaceWords(None, (), ("mild",)), area_sd=1.0)
    assert twice == pytest.approx(np.exp(-0.5 * np.log(2) ** 2))


def test_without_words_every_box_agrees():
    boxes = np.random.default_rng(0).uniform(0, 100, (5, 2))
    xyxy = np.concatenate([boxes, boxes + 50], axis=1)
    assert (place_agreement(xyxy, PlaceWords(None), FILM) == 1).all()


@pytest.mark.parametrize(
    ("attributes", "sides"),
    [
        (("bilateral", "lower"), ["left", "right"]),
        (("left", "right"), ["left", "right"]),
        (("left",), ["left"]),
        (("upper",), [None]),
        (("retrocardiac",), ["left"]),
        ((), [None]),
    ],
)
def test_a_region_for_each_side_that_is_named(attributes, sides):
    assert [words.side for words in regions_of_words(attributes)] == sides
