"""Agreement of severity scores with the experts' scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from localize.evaluation.bootstrap import patient_weights
from localize.severity import agreement
from localize.severity.agreement import evaluate_severity, pearson_measure
from tests.localize.severity.planted import planted_films


@pytest.fixture(autouse=True)
def _few_replicates(monkeypatch):
    monkeypatch.setattr(agreement, "REPLICATES", 100)


def test_evaluation_tells_agreement_with_intervals():
    prediction, manifest = planted_films(80, noise=0.3)
    rows = {
        row.score: row for row in evaluate_severity(prediction, manifest, column="severity", seed=0)
    }
    assert list(rows) == ["severity", "P(severe)", "P(mild)", "p_pneumonia"]
    best = rows["severity"]
    assert (best.films, best.patients) == (80, 40)
    assert best.low < best.pearson < best.high
    assert best.pearson > 0.9
    assert best.r2 > 0.8
    assert rows["P(mild)"].pearson < 0  # as it is, with its sign
    truth, severe = manifest.labels["severity"], prediction.attributes["severe"]
    assert rows["P(severe)"].pearson == pytest.approx(truth.corr(severe))
    assert rows["P(severe)"].spearman == pytest.approx(truth.corr(severe, method="spearman"))
    assert rows["severity"].mse >= rows["severity"].mae ** 2


def test_a_resampled_correlation_is_that_of_the_repeated_films():
    random = np.random.default_rng(0)
    x, y = random.random(12), random.random(12)
    x[:6] = 0.1  # a resample of these alone is undefined
    patients = np.arange(12) // 2
    weights = patient_weights(patients, range(40), 3)
    weights[0, 6:] = 0
    found = pearson_measure(x, y).values(weights)[:, 0]
    for value, weight in zip(found, weights.astype(int), strict=True):
        a, b = np.repeat(x, weight), np.repeat(y, weight)
        expected = np.corrcoef(a, b)[0, 1] if np.ptp(a) else np.nan
        np.testing.assert_allclose(value, expected, atol=1e-12)
    assert np.isnan(found[0])


def test_evaluation_repeats_with_its_seed():
    prediction, manifest = planted_films(40, noise=0.3)
    first, again, other = (
        evaluate_severity(prediction, manifest, column="severity", seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first[0].low != other[0].low


def test_agreement_of_a_constant_score_is_undefined_not_zero():
    prediction, manifest = planted_films(40)
    flat = prediction.attributes.assign(severe=0.5)
    rows = evaluate_severity(
        replace(prediction, attributes=flat), manifest, column="severity", seed=0
    )
    severe = next(row for row in rows if row.score == "P(severe)")
    assert (severe.pearson, severe.spearman, severe.low, severe.high) == (None,) * 4
    assert severe.mae is not None
