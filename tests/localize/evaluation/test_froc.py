from __future__ import annotations

import numpy as np
import pytest

from localize.evaluation.film_boxes import find_overlaps
from localize.evaluation.froc import FALSE_POSITIVE_RATES, froc_measure
from localize.evaluation.matching import coco_matches
from tests.localize.evaluation.slow_loops import random_film_boxes


@pytest.mark.parametrize("tied", [False, True])
def test_froc_equals_trying_every_score_threshold(tied):
    boxes = random_film_boxes(8, films=50, max_pred=12, tied=tied)
    overlaps = find_overlaps(boxes)
    is_true = coco_matches(boxes, overlaps, np.array([0.25]))[:, 0]
    expected = []
    for rate in FALSE_POSITIVE_RATES:
        best = 0.0
        for level in np.unique(boxes.pred_score):
            kept = boxes.pred_score >= level
            if (kept & ~is_true).sum() / boxes.films <= rate:
                best = max(best, (kept & is_true).sum() / len(boxes.true_film))
        expected.append(best)
    values = froc_measure(boxes, 0.25).values(np.ones((1, boxes.films)))[0]
    np.testing.assert_allclose(values, [*expected, np.mean(expected)], atol=1e-12)
    assert 0 < expected[1] < expected[3]


def test_weights_equal_counting_a_film_twice():
    boxes = random_film_boxes(9, films=20)
    measure = froc_measure(boxes, 0.5)
    twice = measure.values(np.full((1, 20), 2.0))
    np.testing.assert_allclose(twice, measure.values(np.ones((1, 20))))


def test_no_predictions_find_nothing():
    boxes = random_film_boxes(9, max_pred=0)
    values = froc_measure(boxes, 0.5).values(np.ones((1, boxes.films)))
    assert (values == 0).all()
