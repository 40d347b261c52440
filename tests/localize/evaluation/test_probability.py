from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from localize.evaluation.probability import attribute_measure, probability_measure


def random_case(seed, digits=2, count=200):
    random = np.random.default_rng(seed)
    target = (random.random(count) < 0.3).astype(float)
    probability = np.clip(random.random(count) * 0.7 + 0.3 * target * random.random(count), 0, 1)
    target[random.random(count) < 0.1] = np.nan
    return np.round(probability, digits), target


def slow_ece(probability, target, weight):
    bins = np.minimum((probability * 10).astype(int), 9)
    error = 0.0
    for number in range(10):
        rows = bins == number
        if weight[rows].sum():
            gap = np.average(target[rows], weights=weight[rows]) - np.average(
                probability[rows], weights=weight[rows]
            )
            error += weight[rows].sum() / weight.sum() * abs(gap)
    return error


@pytest.mark.parametrize("digits", [1, 8], ids=["ties", "no ties"])
def test_weighted_values_equal_scikit_learn(digits):
    probability, target = random_case(0, digits)
    weights = np.random.default_rng(1).integers(0, 4, size=(3, len(target))).astype(float)
    values = probability_measure("film", probability, target).values(weights)
    known = np.isfinite(target)
    for row, weight in enumerate(weights):
        y, p, w = target[known], probability[known], weight[known]
        expected = [
            roc_auc_score(y, p, sample_weight=w),
            average_precision_score(y, p, sample_weight=w),
            np.average((p >= 0.5) == (y == 1), weights=w),
            slow_ece(p, y, w),
        ]
        np.testing.assert_allclose(values[row], expected, atol=1e-12)


def test_auc_and_ap_are_undefined_with_one_class():
    measure = probability_measure("film", np.array([0.2, 0.7]), np.array([1.0, 1.0]))
    auc, ap, accuracy, ece = measure.values(np.ones((1, 2)))[0]
    assert np.isnan([auc, ap]).all()
    assert accuracy == 0.5
    assert ece == pytest.approx((0.8 + 0.3) / 2)


def test_pooled_values_equal_scikit_learn_on_all_pairs():
    rng = np.random.default_rng(3)
    probabilities = rng.random((40, 3)).round(1)
    targets = (rng.random((40, 3)) < [0.1, 0.3, 0.6]).astype(float)
    targets[rng.random((40, 3)) < 0.1] = np.nan
    weights = rng.integers(0, 4, (33, 40)).astype(float)
    measure = attribute_measure(("left", "right", "hazy"), probabilities, targets)
    columns = [measure.keys.index(f"attribute_pooled_{name}") for name in ("auc", "ap", "accuracy")]
    known = np.isfinite(targets)
    for row, found in zip(weights, measure.values(weights)[:, columns], strict=True):
        pairs = np.repeat(row[:, None], 3, axis=1)[known]
        truth, predicted = targets[known], probabilities[known]
        assert found == pytest.approx(
            [
                roc_auc_score(truth, predicted, sample_weight=pairs),
                average_precision_score(truth, predicted, sample_weight=pairs),
                np.average((predicted >= 0.5) == truth, weights=pairs),
            ]
        )


def test_macro_is_the_mean_over_keywords_where_it_is_defined():
    p, t = random_case(2)
    never = np.zeros_like(t)
    measure = attribute_measure(("left", "severe"), np.stack([p, p], 1), np.stack([t, never], 1))
    values = dict(zip(measure.keys, measure.values(np.ones((1, len(t))))[0], strict=True))
    assert np.isnan(values["attribute_severe_auc"])
    assert values["attribute_macro_auc"] == values["attribute_left_auc"]
    assert values["attribute_macro_accuracy"] == pytest.approx(
        (values["attribute_left_accuracy"] + values["attribute_severe_accuracy"]) / 2
    )
