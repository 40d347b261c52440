"""Films and predictions of several seeds keep apart and still belong together."""

from __future__ import annotations

import pandas as pd
import pytest
from experiments.core.pooling import pooled_manifest, pooled_prediction

from experiments.core.repeats import repeated_manifest, repeated_prediction
from localize.evaluation.evaluate import evaluate
from tests.localize.predictions import random_pair


def test_pooled_counts_are_sums_and_iou_is_the_mean_over_boxes():
    pairs = [(seed, *random_pair(seed)) for seed in (1, 2)]
    truth = pooled_manifest([(seed, films) for seed, _, films in pairs])
    prediction = pooled_prediction([(seed, found) for seed, found, _ in pairs])
    result = evaluate(prediction, truth, replicates=0)
    parts = [evaluate(found, films, replicates=0) for _, found, films in pairs]
    boxes = [part.films.true_boxes for part in parts]
    assert result.films.patients == sum(part.films.patients for part in parts)
    mean = sum(n * part.value("iou_at_0.5") for n, part in zip(boxes, parts, strict=True))
    assert result.value("iou_at_0.5") == pytest.approx(mean / sum(boxes))


def test_draws_of_pooled_films_have_the_ids_of_the_repeated_truth():
    pairs = [(seed, *random_pair(seed, films=4)) for seed in (1, 2)]
    truth = repeated_manifest(pooled_manifest([(s, films) for s, _, films in pairs]), 3)
    prediction = pooled_prediction(
        [(s, repeated_prediction(found, 3)) for s, found, _ in pairs], draws=3
    )
    assert set(prediction.images["image_id"]) == set(truth.images["image_id"])
    assert evaluate(prediction, truth, replicates=0).films.evaluated == 24


def test_pooling_one_seed_only_renames():
    prediction, truth = random_pair(0)
    pooled = pooled_prediction([(7, prediction)])
    assert pooled.images["image_id"].iloc[0] == "7:film-0"
    pd.testing.assert_series_equal(pooled.boxes["score"], prediction.boxes["score"])
    assert pooled_manifest([(7, truth)]).images["patient_id"].iloc[0] == "7:patient-0"
