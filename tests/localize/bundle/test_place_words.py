"""Words of place from boxes: side, zone and number, as probabilities of independent boxes."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from localize.bundle.place_words import (
    PLACE_WORDS,
    box_place_words,
    film_place_words,
    true_place_words,
    words_of_boxes,
)

WIDTH, HEIGHT = 400, 500
LEFT_LOWER = (250.0, 300.0, 350.0, 400.0)  # the patient's left is on the film's right
RIGHT_UPPER = (50.0, 40.0, 150.0, 120.0)
RIGHT_WHOLE = (50.0, 80.0, 150.0, 400.0)
LEFT_WHOLE = (250.0, 80.0, 350.0, 400.0)
NO_BOX = np.zeros((0, 4))


def film(boxes, scores):
    return film_place_words(np.array(boxes).reshape(-1, 4), np.array(scores), WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([LEFT_LOWER], {"left", "lower", "basal", "focal"}),
        ([RIGHT_UPPER], {"right", "upper", "apical", "focal"}),
        ([LEFT_LOWER, RIGHT_UPPER], {"left", "right", "bilateral", "multifocal", "upper", "lower",
                                     "apical", "basal"}),
        ([RIGHT_WHOLE], {"right", "focal"}),
        ([RIGHT_WHOLE, LEFT_WHOLE], {"left", "right", "bilateral", "multifocal", "diffuse"}),
        ([(160.0, 200.0, 240.0, 240.0)], {"middle", "perihilar", "focal"}),
        ([], set()),
    ],
)  # fmt: skip
def test_true_boxes_say_where_they_lie(boxes, expected):
    found = true_place_words(np.array(boxes).reshape(-1, 4), WIDTH, HEIGHT)
    assert {word for word, holds in found.items() if holds} == expected


def test_probabilities_are_sums_over_all_ways_in_which_boxes_can_be_right():
    boxes = np.array([LEFT_LOWER, RIGHT_UPPER, RIGHT_WHOLE])
    scores = np.array([0.7, 0.4, 0.2])
    expected = dict.fromkeys(("left", "right", "upper", "lower", "focal", "multifocal"), 0.0)
    for is_right in product([False, True], repeat=3):
        chosen = np.array(is_right)
        chance = np.prod(np.where(chosen, scores, 1 - scores))
        for word, holds in true_place_words(boxes[chosen], WIDTH, HEIGHT).items():
            if word in expected:
                expected[word] += chance * holds
    found = film(boxes, scores)
    for word, probability in expected.items():
        assert found[word] == pytest.approx(probability), word


def test_a_box_says_nothing_of_the_other_side():
    sure, unsure = film([LEFT_LOWER], [0.9]), film([LEFT_LOWER], [0.1])
    assert sure["right"] == unsure["right"] == 0
    assert sure["left"] > unsure["left"]


def test_a_film_without_boxes_shows_nothing():
    assert set(film(NO_BOX, []).values()) == {0.0}
    assert set(film(NO_BOX, [])) == set(PLACE_WORDS)


def test_mirrored_boxes_swap_left_and_right():
    boxes = np.array([LEFT_LOWER, RIGHT_UPPER])
    mirrored = boxes.copy()
    mirrored[:, [0, 2]] = WIDTH - boxes[:, [2, 0]]
    ours, theirs = (box_place_words(xyxy, WIDTH, HEIGHT) for xyxy in (boxes, mirrored))
    np.testing.assert_array_equal(ours["left"], theirs["right"])
    np.testing.assert_array_equal(ours["lower"], theirs["lower"])


def test_each_box_has_its_own_words():
    words = words_of_boxes(np.array([LEFT_LOWER, RIGHT_UPPER]), WIDTH, HEIGHT)
    assert words == [("left", "lower", "basal"), ("right", "upper", "apical")]
