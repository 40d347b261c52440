from __future__ import annotations

import numpy as np
import pytest

from localize.evaluation import film_boxes as module
from localize.evaluation.film_boxes import find_overlaps, make_film_boxes, rank_in_group
from tests.localize.evaluation.slow_loops import random_film_boxes, slow_iou


def test_predictions_are_ordered_by_film_and_falling_score_with_stable_ties():
    boxes = make_film_boxes(
        np.array([[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3], [0, 0, 4, 4]], float),
        np.array([0.5, 0.9, 0.5, 0.7]),
        np.array([1, 0, 1, 1]),
        np.zeros((0, 4)),
        np.zeros(0, int),
        films=2,
    )
    assert boxes.pred_xyxy[:, 2].tolist() == [2, 4, 1, 3]
    assert boxes.pred_rank.tolist() == [0, 0, 1, 2]
    assert boxes.first(np.array([0, 2])).pred_xyxy[:, 2].tolist() == [4, 1]
    assert boxes.above(0.7).pred_film.tolist() == [0, 1]


def test_boxes_of_films_with_unknown_truth_are_left_out():
    boxes = make_film_boxes(
        np.array([[0, 0, 1, 1], [0, 0, 2, 2]], float),
        np.array([0.5, 0.9]),
        np.array([0, 1]),
        np.array([[0, 0, 1, 1]], float),
        np.array([1]),
        films=2,
        is_known=np.array([False, True]),
    )
    assert boxes.pred_film.tolist() == [1]
    assert boxes.true_film.tolist() == [1]


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="finite"):
        make_film_boxes(
            np.array([[0, 0, 1, 1]], float),
            np.array([np.nan]),
            np.array([0]),
            np.zeros((0, 4)),
            np.zeros(0, int),
            films=1,
        )


def test_rank_in_group_counts_from_zero_in_each_run():
    assert rank_in_group(np.array([3, 3, 4, 7, 7, 7])).tolist() == [0, 1, 0, 0, 1, 2]
    assert rank_in_group(np.zeros(0, int)).tolist() == []


@pytest.mark.parametrize("rows_at_once", [5, 4_000_000])
def test_overlaps_are_all_pairs_with_a_common_area(rows_at_once, monkeypatch):
    monkeypatch.setattr(module, "MAX_PAIR_ROWS", rows_at_once)
    boxes = random_film_boxes(3)
    expected = {}
    for p, (box, film) in enumerate(zip(boxes.pred_xyxy, boxes.pred_film, strict=True)):
        for t, (true, true_film) in enumerate(zip(boxes.true_xyxy, boxes.true_film, strict=True)):
            if film == true_film and slow_iou(box, true) > 0:
                expected[p, t] = slow_iou(box, true)
    found = find_overlaps(boxes)
    assert list(zip(found.pred, found.true, strict=True)) == sorted(expected)
    np.testing.assert_allclose(found.iou, [expected[k] for k in sorted(expected)], atol=1e-12)
    areas = (boxes.pred_xyxy[:, 2:] - boxes.pred_xyxy[:, :2]).prod(axis=1)[found.pred]
    true_areas = (boxes.true_xyxy[:, 2:] - boxes.true_xyxy[:, :2]).prod(axis=1)[found.true]
    intersection = found.iou / (1 + found.iou) * (areas + true_areas)
    np.testing.assert_allclose(found.iobb, intersection / areas, atol=1e-12)


def test_no_boxes_at_all_have_no_overlaps():
    empty = make_film_boxes(
        np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), np.zeros((0, 4)), np.zeros(0, int), films=0
    )
    assert len(find_overlaps(empty).pred) == 0
