"""The simulated annotator: each kind of box is treated as its rule says."""

from __future__ import annotations

import numpy as np
import pytest

from data_manifests.boxes import iou_matrix
from experiments.data.annotator import AnnotatorHabits, correct_film
from tests.localize.formats.films import make_film

STEADY = AnnotatorHabits(overlooked=0.0, hand=0.0)
REAL = np.array([[100.0, 100.0, 200.0, 300.0]])


def corrected(boxes, truth=REAL, habits=STEADY, seed=0):
    film = make_film(boxes=boxes, labels=("opacity",) * len(boxes))
    return correct_film(film, np.array(truth).reshape(-1, 4), habits, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("boxes", "expected", "reason"),
    [
        ([(110, 100, 210, 300)], [(110, 100, 210, 300)], "IoU .82: left as it is"),
        ([(140, 100, 240, 300)], REAL, "IoU .43: moved onto the opacity"),
        ([(180, 100, 280, 300)], REAL, "IoU .11: deleted, and the opacity drawn"),
        ([(300, 300, 400, 400), (105, 100, 205, 300)], [(105, 100, 205, 300)], "one deleted"),
        ([], REAL, "drawn"),
    ],
)
def test_boxes_are_kept_moved_deleted_and_drawn(boxes, expected, reason):
    found = corrected(boxes)
    np.testing.assert_allclose(found.xyxy, expected, err_msg=reason)
    assert found.labels == ("opacity",)
    assert np.isnan(found.scores).all(), "a person's box has no score"


def test_two_boxes_on_one_opacity_leave_one():
    assert len(corrected([(100, 100, 200, 300), (105, 100, 205, 300)])) == 1


def test_a_film_without_opacity_comes_back_empty():
    assert corrected([(10, 10, 60, 60)], truth=[]).xyxy.shape == (0, 4)


def test_the_hand_is_as_unsteady_as_stated_and_stays_inside_the_film():
    habits = AnnotatorHabits(overlooked=0.0, hand=0.1)
    edges = np.array([corrected([], habits=habits, seed=seed).xyxy[0] for seed in range(400)])
    errors = (edges - REAL) / [100, 200, 100, 200]
    assert 0.09 < errors.std() < 0.11
    assert abs(errors.mean()) < 0.01
    corner = np.array([[0.0, 0.0, 512.0, 640.0]])
    for seed in range(50):
        (x1, y1, x2, y2) = corrected([], corner, habits, seed).xyxy[0]
        assert 0 <= x1 < x2 <= 512
        assert 0 <= y1 < y2 <= 640


def test_the_stated_share_of_unmarked_opacities_is_overlooked():
    habits = AnnotatorHabits(overlooked=0.25)
    seen = sum(len(corrected([], habits=habits, seed=seed)) for seed in range(1000))
    assert 700 < seen < 800
    shown = [(140, 100, 240, 300)]
    assert all(len(corrected(shown, habits=habits, seed=seed)) == 1 for seed in range(50))


def test_what_is_drawn_overlaps_the_truth_more_than_what_was_moved():
    found = corrected([(150, 100, 250, 300)], habits=AnnotatorHabits(overlooked=0.0))
    assert iou_matrix(found.xyxy, REAL)[0, 0] > 0.75
