from __future__ import annotations

import numpy as np
import pytest

from localize.evaluation import bootstrap
from localize.evaluation.bootstrap import bootstrap_values, estimates, patient_weights
from localize.evaluation.measure import ratio_measure


def test_films_of_a_patient_are_drawn_together():
    patients = np.array([0, 0, 1, 2, 2, 2])
    weights = patient_weights(patients, range(50), 3)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()
    assert weights.std() > 0


def test_intervals_do_not_depend_on_the_block_size(monkeypatch):
    random = np.random.default_rng(0)
    measure = ratio_measure(("a",), random.random((40, 1)), np.ones((40, 1)))
    patients = np.repeat(np.arange(20), 2)

    def run():
        return bootstrap_values([measure], patients, replicates=30, seed=1, largest=40)

    whole = run()
    monkeypatch.setattr(bootstrap, "MAX_BLOCK", 120)
    np.testing.assert_allclose(run(), whole, rtol=1e-12)  # sums in another order


def test_interval_of_a_mean_equals_the_loop_over_resamples():
    random = np.random.default_rng(5)
    values, patients = random.random(30), np.arange(30) // 3
    measure = ratio_measure(("mean",), values[:, None], np.ones((30, 1)))
    found = estimates(bootstrap_values([measure], patients, replicates=200, seed=9, largest=30))[0]
    means = []
    for replicate in range(200):
        drawn = np.random.default_rng([9, replicate]).integers(10, size=10)
        means.append(np.concatenate([values[patients == patient] for patient in drawn]).mean())
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(means, (2.5, 97.5))))


def test_interval_covers_the_truth_about_nineteen_times_in_twenty():
    random = np.random.default_rng(7)
    covered = 0
    for _ in range(200):
        values = random.normal(size=60)
        measure = ratio_measure(("mean",), values[:, None], np.ones((60, 1)))
        drawn = bootstrap_values([measure], np.arange(60), replicates=200, seed=0, largest=60)
        interval = estimates(drawn)[0]
        covered += interval.low <= 0 <= interval.high
    assert 0.88 <= covered / 200 <= 0.99


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([np.nan, 1.0, 2.0], (None, None, None)),
        ([1.0, np.nan, np.nan, 1.0], (1.0, None, None)),
        ([1.0], (1.0, None, None)),
        ([1.0, 1.0, np.nan, 1.0], (1.0, 1.0, 1.0)),
    ],
    ids=["undefined", "mostly undefined resamples", "no resamples", "some undefined resamples"],
)
def test_undefined_is_none(column, expected):
    found = estimates(np.array(column)[:, None])[0]
    assert (found.value, found.low, found.high) == expected
