"""Copies of films: numbers are the mean of the draws, a patient's copies are drawn together."""

from __future__ import annotations

import pytest

from experiments.core.repeats import joined_draws, repeated_manifest, repeated_prediction
from localize.evaluation.evaluate import evaluate
from tests.localize.predictions import random_pair


def test_repeating_changes_no_number_and_no_interval():
    prediction, truth = random_pair(0)
    once = evaluate(prediction, truth, replicates=50)
    thrice = evaluate(
        repeated_prediction(prediction, 3), repeated_manifest(truth, 3), replicates=50
    )
    for key in ("iou_at_0.25", "iou_at_0.5", "pointing_hit_rate", "film_auc"):
        assert thrice.row(key).estimate.value == pytest.approx(once.row(key).estimate.value)
        assert thrice.row(key).estimate.low == pytest.approx(once.row(key).estimate.low)
        assert thrice.row(key).estimate.high == pytest.approx(once.row(key).estimate.high)


def test_joined_draws_have_the_mean_of_their_numbers():
    first, truth = random_pair(0)
    second, _ = random_pair(0)
    second.boxes["score"] = 1 - second.boxes["score"]  # other boxes come first
    parts = [evaluate(one, truth, replicates=0) for one in (first, second)]
    joined = evaluate(joined_draws([first, second]), repeated_manifest(truth, 2), replicates=0)
    for key in ("iou_at_0.25", "iou_at_0.5", "pointing_hit_rate"):
        values = [part.value(key) for part in parts]
        assert joined.value(key) == pytest.approx(sum(values) / 2)
    assert parts[0].value("iou_at_0.5") != parts[1].value("iou_at_0.5")
