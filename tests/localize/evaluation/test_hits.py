from __future__ import annotations

import numpy as np

from localize.evaluation.hits import IOBB_THRESHOLDS, iobb_measure, pointing_measure
from tests.localize.evaluation.slow_loops import films_of, random_film_boxes


def slow_iobb(pred, true):
    w = min(pred[2], true[2]) - max(pred[0], true[0])
    h = min(pred[3], true[3]) - max(pred[1], true[1])
    return max(w, 0) * max(h, 0) / ((pred[2] - pred[0]) * (pred[3] - pred[1]))


def test_iobb_accuracy_and_false_positives_equal_the_loop():
    boxes = random_film_boxes(10)
    values = iobb_measure(boxes).values(np.ones((1, boxes.films)))[0]
    for column, threshold in enumerate(IOBB_THRESHOLDS):
        found = false = total = films = 0
        for pred, _, true in films_of(boxes):
            if not len(true):
                continue
            films += 1
            total += len(true)
            hit = np.array([[slow_iobb(p, t) > threshold for t in true] for p in pred])
            hit = hit.reshape(len(pred), len(true))
            found += hit.any(axis=0).sum()
            false += (~hit.any(axis=1)).sum()
        assert values[2 * column] == found / total
        assert values[2 * column + 1] == false / films


def test_pointing_game_looks_where_the_best_box_is_centred():
    boxes = random_film_boxes(11)
    hits = films = 0
    for pred, _, true in films_of(boxes):
        if not len(true):
            continue
        films += 1
        if len(pred):
            x, y = (pred[0][0] + pred[0][2]) / 2, (pred[0][1] + pred[0][3]) / 2
            hits += any(t[0] <= x <= t[2] and t[1] <= y <= t[3] for t in true)
    value = pointing_measure(boxes).values(np.ones((1, boxes.films)))[0, 0]
    assert value == hits / films
    assert 0 < value < 1
