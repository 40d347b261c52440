"""Boxes from words of place: effusions by size, and beside a lung that ends above the fluid."""

from __future__ import annotations

import pytest

from localize.grounding.film_anatomy import FilmAnatomy
from localize.grounding.place_agreement import regions_of_words
from localize.grounding.place_boxes import PLACE_SCORES, place_rectangles
from tests.detector.lungs.fields import drawn_fields, no_fields

RIGHT, LEFT = (10, 10, 40, 70), (60, 10, 90, 70)


def effusion(*words, right=RIGHT, left=LEFT):
    film = FilmAnatomy(100, 90, drawn_fields(right=right, left=left, size=(100, 90)))
    (found,) = place_rectangles("effusion", words, regions_of_words(words), film)
    return found.tolist()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("right", "small"), [10, 61, 19.9, 70]),  # the angle beside the wall
        (("left", "mild"), [80.1, 61, 90, 70]),
        (("left", "moderate"), [60, 55, 90, 70]),
        (("left",), [60, 55, 90, 70]),
        (("left", "large"), [60, 46, 90, 70]),
        (("left", "small", "moderate"), [60, 55, 90, 70]),  # small to moderate
    ],
)
def test_an_effusion_is_as_large_as_the_word_of_size(words, expected):
    assert effusion(*words) == pytest.approx(expected)


def test_the_base_is_that_of_the_other_lung_where_the_fluid_hides_it():
    assert effusion("right", "large", right=(10, 10, 40, 50)) == pytest.approx([10, 46, 40, 70])
    assert effusion("left", "large", right=(10, 10, 40, 50)) == pytest.approx([60, 46, 90, 70])


def test_nothing_is_placed_without_a_side():
    film = FilmAnatomy(100, 90)
    assert place_rectangles("effusion", (), regions_of_words(()), film) == []


def test_a_box_is_worth_less_without_the_lungs_of_the_film():
    score = PLACE_SCORES["effusion"]
    fields = drawn_fields(right=RIGHT, left=LEFT, size=(100, 90))
    assert score.of(FilmAnatomy(100, 90, fields)) == score.lungs
    for film in (FilmAnatomy(100, 90), FilmAnatomy(100, 90, no_fields(100, 90))):
        assert score.of(film) == score.average
