from __future__ import annotations

import numpy as np

from localize.evaluation.film_boxes import make_film_boxes
from localize.evaluation.top_k_recall import box_recall_measure, union_recall_measure
from tests.localize.evaluation.slow_loops import films_of, random_film_boxes, slow_maximum_matching


def test_box_recall_is_the_matched_share_of_true_boxes():
    boxes = random_film_boxes(2, max_pred=5, max_true=3)
    top = boxes.first(boxes.true_counts())
    value = box_recall_measure("iou", top, np.array([0.5])).values(np.ones((1, boxes.films)))
    matched = total = 0
    for pred, _, true in films_of(boxes):
        matched += slow_maximum_matching(pred[: len(true)], true, 0.5)
        total += len(true)
    assert value[0, 0] == matched / total


def test_one_prediction_cannot_find_two_true_boxes():
    box = [0, 0, 10, 10]
    boxes = make_film_boxes(
        np.array([box], float), np.array([0.9]), np.array([0]),
        np.array([box, box], float), np.array([0, 0]), films=1,
    )  # fmt: skip
    assert box_recall_measure("iou", boxes, np.array([0.5])).values(np.ones((1, 1)))[0, 0] == 0.5


def test_union_recall_needs_one_box_over_both_lungs():
    two = np.array([[0, 0, 10, 20], [10, 0, 20, 20]], float)
    around, half = [[0, 0, 20, 20]], [[0, 0, 10, 20]]
    for pred, expected in ((around, 1.0), (half, 0.0)):
        boxes = make_film_boxes(
            np.array(pred, float), np.array([0.9]), np.array([0]), two, np.array([0, 0]), films=1
        )
        measure = union_recall_measure("union", boxes, np.array([0.75]))
        assert measure.values(np.ones((1, 1)))[0, 0] == expected


def test_films_without_true_boxes_do_not_count():
    boxes = make_film_boxes(
        np.array([[0, 0, 9, 9]], float), np.array([0.9]), np.array([0]),
        np.zeros((0, 4)), np.zeros(0, int), films=1,
    )  # fmt: skip
    for measure in (box_recall_measure, union_recall_measure):
        assert np.isnan(measure("x", boxes, np.array([0.5])).values(np.ones((1, 1)))).all()
