from __future__ import annotations

import numpy as np
import pytest

from localize.evaluation import matching
from localize.evaluation.film_boxes import find_overlaps, make_film_boxes
from localize.evaluation.matching import coco_matches, kaggle_matches, maximum_matches
from tests.localize.evaluation.slow_loops import (
    films_of,
    random_film_boxes,
    slow_iou,
    slow_maximum_matching,
)


@pytest.mark.parametrize("threshold", [0.25, 0.5, 0.75])
def test_maximum_matching_finds_as_many_as_trying_all_assignments(threshold):
    boxes = random_film_boxes(1, films=30, max_pred=5, max_true=3)
    matched = maximum_matches(boxes, find_overlaps(boxes), threshold)
    found = np.bincount(boxes.true_film[matched], minlength=boxes.films)
    expected = [slow_maximum_matching(p, t, threshold) for p, _, t in films_of(boxes)]
    assert found.tolist() == expected
    assert 0 < sum(expected) < len(boxes.true_film)


def test_maximum_matching_beats_greedy_where_the_first_box_could_take_both():
    # Prediction 0 fits both true boxes, prediction 1 only the first.
    boxes = make_film_boxes(
        np.array([[0, 0, 10, 10], [0, 0, 10, 8]], float),
        np.array([0.9, 0.8]),
        np.array([0, 0]),
        np.array([[0, 0, 10, 9], [0, 0, 10, 14]], float),
        np.array([0, 0]),
        films=1,
    )
    overlaps = find_overlaps(boxes)
    assert maximum_matches(boxes, overlaps, 0.6).sum() == 2
    assert coco_matches(boxes, overlaps, np.array([0.6])).sum() == 1


def slow_coco(pred, true, threshold):
    used, hits = set(), []
    for box in pred:
        best, chosen = min(threshold, 1 - 1e-10), None
        for j, other in enumerate(true):
            if j not in used and slow_iou(box, other) >= best:
                best, chosen = slow_iou(box, other), j
        hits.append(chosen is not None)
        used.add(chosen)
    return hits


@pytest.mark.parametrize("pairs_at_a_time", [1, 7, 50_000])
@pytest.mark.parametrize("seed", range(5))
def test_coco_matching_is_the_greedy_loop(seed, pairs_at_a_time, monkeypatch):
    monkeypatch.setattr(matching, "PAIRS_AT_A_TIME", pairs_at_a_time)
    boxes = random_film_boxes(seed)
    thresholds = np.array([0.1, 0.5, 0.75, 1.0])
    is_true = coco_matches(boxes, find_overlaps(boxes), thresholds)
    for column, threshold in enumerate(thresholds):
        expected = [hit for p, _, t in films_of(boxes) for hit in slow_coco(p, t, threshold)]
        assert is_true[:, column].tolist() == expected


@pytest.mark.parametrize("seed", range(5))
def test_kaggle_matching_lets_true_boxes_choose_the_best_scored(seed):
    boxes = random_film_boxes(seed, max_true=4)
    matched = kaggle_matches(boxes, find_overlaps(boxes), np.array([0.3]))[:, 0]
    expected = []
    for pred, _, true in films_of(boxes):
        used = set()
        for box in true:
            free = [j for j, p in enumerate(pred) if j not in used and slow_iou(box, p) >= 0.3]
            used |= set(free[:1])
            expected.append(bool(free))
    assert matched.tolist() == expected
