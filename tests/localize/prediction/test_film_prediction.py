"""The checks of `FilmPrediction`."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from data_manifests.boxes import Boxes
from localize.prediction.film_prediction import FilmPrediction


def film(**changes):
    fields = {
        "image_id": "a",
        "path": "a.png",
        "boxes": Boxes([[0, 0, 10, 10], [5, 5, 20, 30]], 100, 80),
        "scores": [0.9, 0.4],
        "alphas": [0.7, 0.1],
        "detector_scores": [0.8, 0.5],
        "labels": ("opacity", "opacity"),
        "box_attributes": (("left",), ()),
        "attributes": {"left": 0.8, "right": 0.1},
        "p_pneumonia": 0.7,
    }
    return FilmPrediction(**{**fields, **changes})


def empty(**changes):
    nothing = {"scores": [], "alphas": [], "detector_scores": [], "labels": (), "attributes": {}}
    return film(boxes=Boxes.empty(100, 80), box_attributes=(), **{**nothing, **changes})


def test_a_film_without_boxes_is_legal():
    assert len(empty()) == 0
    assert empty().boxes.xyxy.shape == (0, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": ""}, "image_id: expected an id"),
        ({"scores": [0.9]}, r"scores: expected shape \(2,\), one for each box, got \(1,\)"),
        ({"scores": [0.9, np.nan]}, "scores: expected numbers in"),
        ({"scores": [1.2, 0.4]}, r"scores: expected numbers in \[0, 1\], got 1.2 at 0"),
        ({"scores": [0.4, 0.9]}, "expected the best box first, got 0.9 after 0.4 at 1"),
        ({"alphas": [-0.1, 0.4]}, "alphas: expected numbers in"),
        ({"detector_scores": [0.1, np.inf]}, "detector_scores: expected numbers in"),
        ({"labels": ("opacity",)}, "labels: expected one for each of 2 boxes, got 1"),
        ({"box_attributes": ()}, "box_attributes: expected one for each of 2 boxes, got 0"),
        ({"attributes": {"left": np.nan}}, r"attributes\['left'\]: expected a probability"),
        ({"p_pneumonia": 1.5}, "p_pneumonia: expected a probability"),
        ({"operating_point": -0.1}, "operating_point: expected a probability"),
        ({"opacity": "maybe"}, "opacity: expected yes, no, unsure"),
        ({"severity": np.nan}, "severity: expected finite numbers"),
        ({"severity_interval": (1.0, 2.0)}, "expected low and high of a known severity"),
        ({"severity": 1.5, "severity_interval": (2.0, 1.0)}, "expected low <= high"),
    ],
)
def test_a_number_outside_its_range_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        film(**changes)


def test_another_method_may_leave_alpha_and_the_detector_score_unknown():
    other = film(alphas=[np.nan, np.nan], detector_scores=[np.nan, np.nan], p_pneumonia=None)
    assert np.isnan(other.alphas).all()


def test_nothing_of_a_film_can_be_changed():
    made = film()
    with pytest.raises(ValueError, match="read-only"):
        made.scores[0] = 0.0
    with pytest.raises(TypeError):
        made.attributes["left"] = 0.0
    with pytest.raises(AttributeError):
        made.severity = 3.0


def test_the_given_array_stays_writable_and_apart():
    scores = np.array([0.9, 0.4])
    made = film(scores=scores)
    scores[0] = 0.5
    assert made.scores[0] == 0.9


@pytest.mark.parametrize("rows", [[1], np.array([False, True])])
def test_select_takes_all_columns_of_a_box(rows):
    kept = film().select(rows)
    assert kept.boxes.xyxy.tolist() == [[5, 5, 20, 30]]
    assert (kept.scores.tolist(), kept.alphas.tolist()) == ([0.4], [0.1])
    assert kept.detector_scores.tolist() == [0.5]
    assert kept.box_attributes == ((),)
    assert kept.attributes["left"] == 0.8


def test_select_of_nothing_leaves_no_box():
    assert len(film().select([])) == 0
    assert len(empty().select(np.zeros(0, bool))) == 0


def test_a_film_survives_pickling():
    copy = pickle.loads(pickle.dumps(film()))  # noqa: S301 - our own bytes
    assert copy.boxes.xyxy.tolist() == film().boxes.xyxy.tolist()
    assert copy.attributes == {"left": 0.8, "right": 0.1}
    assert not copy.scores.flags.writeable
