from __future__ import annotations

import numpy as np
import pytest

from localize.evaluation import film_boxes
from localize.evaluation.rsna_score import best_score_threshold, rsna_film_scores, rsna_measure
from tests.localize.evaluation.slow_loops import films_of, kaggle_map_iou, random_film_boxes


@pytest.mark.parametrize("films_at_a_time", [7, 65_536])
def test_rsna_score_equals_the_public_scorer_with_empty_films_skipped(films_at_a_time, monkeypatch):
    monkeypatch.setattr(film_boxes, "FILMS_OF_PART", films_at_a_time)
    boxes = random_film_boxes(6, films=80)
    expected = [kaggle_map_iou(true, pred[score >= 0.3]) for pred, score, true in films_of(boxes)]
    scores = rsna_film_scores(boxes.above(0.3))
    np.testing.assert_allclose(scores, np.array(expected, float), atol=1e-12)
    known = [value for value in expected if value is not None]
    assert len(known) < len(expected)
    value = rsna_measure(boxes, 0.3).values(np.ones((1, boxes.films)))[0, 0]
    np.testing.assert_allclose(value, np.mean(known))


def test_the_chosen_threshold_is_not_beaten_by_its_candidates():
    boxes = random_film_boxes(7, films=60)
    chosen = best_score_threshold(boxes)
    ones = np.ones((1, boxes.films))
    best = rsna_measure(boxes, chosen).values(ones)
    for level in np.quantile(boxes.pred_score, np.linspace(0, 1, 20)):
        nearest = boxes.pred_score[np.argmin(abs(boxes.pred_score - level))]
        assert rsna_measure(boxes, nearest).values(ones) <= best + 0.02
    assert best > rsna_measure(boxes, 0.0).values(ones)


def test_without_predictions_every_box_counts():
    assert best_score_threshold(random_film_boxes(1, max_pred=0)) == 0.0
