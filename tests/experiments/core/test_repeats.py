"""Copies of films: metrics are the mean of the repeats, a patient's copies are drawn together."""

from __future__ import annotations

import pandas as pd
import pytest

from experiments.core.repeats import join_repeats, pool_films, pool_predictions, repeat_films
from localize.evaluation.evaluate import evaluate
from tests.localize.predictions import random_pair


def test_repeating_changes_no_number_and_no_interval():
    prediction, truth = random_pair(0)
    once = evaluate(prediction, truth, replicates=50)
    thrice = evaluate(join_repeats([prediction] * 3), repeat_films(truth, 3), replicates=50)
    for key in ("iou_at_0.25", "iou_at_0.5", "pointing_hit_rate", "film_auc"):
        assert thrice.row(key).estimate.value == pytest.approx(once.row(key).estimate.value)
        assert thrice.row(key).estimate.low == pytest.approx(once.row(key).estimate.low)
        assert thrice.row(key).estimate.high == pytest.approx(once.row(key).estimate.high)


def test_joined_repeats_have_the_mean_of_their_numbers():
    first, truth = random_pair(0)
    second, _ = random_pair(0)
    second.boxes["score"] = 1 - second.boxes["score"]  # other boxes come first
    parts = [evaluate(one, truth, replicates=0) for one in (first, second)]
    joined = evaluate(join_repeats([first, second]), repeat_films(truth, 2), replicates=0)
    for key in ("iou_at_0.25", "iou_at_0.5", "pointing_hit_rate"):
        values = [part.value(key) for part in parts]
        assert joined.value(key) == pytest.approx(sum(values) / 2)
    assert parts[0].value("iou_at_0.5") != parts[1].value("iou_at_0.5")


def test_pooled_seeds_have_the_numbers_of_all_their_boxes_together():
    pairs = [(seed, *random_pair(seed)) for seed in (1, 2)]
    truth = pool_films([(seed, films) for seed, _, films in pairs])
    prediction = pool_predictions([(seed, found) for seed, found, _ in pairs])
    result = evaluate(prediction, truth, replicates=0)
    parts = [evaluate(found, films, replicates=0) for _, found, films in pairs]
    boxes = [part.films.true_boxes for part in parts]
    assert result.films.patients == sum(part.films.patients for part in parts)
    mean = sum(n * part.value("iou_at_0.5") for n, part in zip(boxes, parts, strict=True))
    assert result.value("iou_at_0.5") == pytest.approx(mean / sum(boxes))


def test_repeats_of_pooled_films_are_evaluated_on_their_copies():
    pairs = [(seed, *random_pair(seed, films=4)) for seed in (1, 2)]
    truth = repeat_films(pool_films([(seed, films) for seed, _, films in pairs]), 3)
    prediction = join_repeats([pool_predictions([(seed, one) for seed, one, _ in pairs])] * 3)
    assert set(prediction.images["image_id"]) == set(truth.images["image_id"])
    assert evaluate(prediction, truth, replicates=0).films.evaluated == 24


def test_pooling_one_seed_only_renames():
    prediction, truth = random_pair(0)
    pooled = pool_predictions([(7, prediction)])
    assert pooled.images["image_id"].iloc[0] == "7:film-0"
    pd.testing.assert_series_equal(pooled.boxes["score"], prediction.boxes["score"])
    assert pool_films([(7, truth)]).images["patient_id"].iloc[0] == "7:patient-0"
