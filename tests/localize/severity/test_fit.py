"""The fit of the severity model and its folds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from data_manifests.support.errors import DataError
from localize.severity import fit as severity_module
from localize.severity.fit import fit_severity, severity_table
from localize.severity.model import FEATURES
from localize.severity.scored_films import feature_table
from tests.localize.severity.planted import planted_films


def test_a_linear_rule_is_recovered(monkeypatch):
    monkeypatch.setattr(severity_module, "RIDGE", 1e-6)
    prediction, manifest = planted_films()
    model = fit_severity(prediction, manifest, column="severity")
    found = dict(zip(FEATURES, model.coefficients, strict=True))
    expected = {
        "root_extent_left_half": 6.0,
        "root_extent_right_half": 4.0,
        "p_pneumonia": -2.0,
    }
    for name in FEATURES:
        assert found[name] == pytest.approx(expected.get(name, 0.0), abs=1e-3)
    assert model.intercept == pytest.approx(1.0, abs=1e-3)
    assert model.residual < 0.5  # only what the clipping to the seen range costs


def test_the_fit_is_a_ridge_on_standardised_features():
    prediction, manifest = planted_films(noise=0.5)
    model = fit_severity(prediction, manifest, column="severity")
    x, y = feature_table(prediction), manifest.labels["severity"].to_numpy()
    spread = np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
    z = (x - x.mean(axis=0)) / spread
    # Closed form: the intercept is not shrunk.
    weights = np.linalg.solve(z.T @ z + 10 * np.eye(z.shape[1]), z.T @ (y - y.mean()))
    expected = np.clip(z @ weights + y.mean(), y.min(), y.max())
    np.testing.assert_allclose(model.scores(x), expected, atol=1e-9)


def test_scores_stay_in_the_range_of_the_experts_and_intervals_too():
    prediction, manifest = planted_films(noise=1.0)
    model = fit_severity(prediction, manifest, column="severity")
    model = replace(model, coefficients=tuple(50 * c for c in model.coefficients))
    table = severity_table(prediction, model)
    known = manifest.labels["severity"]
    for name in ("severity", "low", "high"):
        assert table[name].between(round(known.min(), 4), round(known.max(), 4)).all()
    assert (table["low"] <= table["severity"]).all()
    assert (table["severity"] <= table["high"]).all()
    inner = table[(table["severity"] - model.residual > model.low)]
    np.testing.assert_allclose(inner["severity"] - inner["low"], model.residual, atol=2e-4)


def test_the_interval_holds_nine_of_ten_new_films():
    prediction, manifest = planted_films(300, noise=1.0)
    model = fit_severity(prediction, manifest, column="severity")
    fresh, truth = planted_films(300, seed=1, noise=1.0)
    table = severity_table(fresh, model)
    score = truth.labels["severity"].clip(model.low, model.high)
    assert score.between(table["low"], table["high"]).mean() == pytest.approx(0.9, abs=0.05)


def test_no_patient_is_in_two_folds(monkeypatch):
    prediction, manifest = planted_films(60, noise=0.5)
    patients = manifest.images["patient_id"].to_numpy()
    x = feature_table(prediction)
    fitted = []

    class Spy(Ridge):
        def fit(self, features, truth):
            fitted.append(len(truth))
            return super().fit(features, truth)

    rows = {tuple(row): k for k, row in enumerate(x)}
    scaled = []

    class SpyScaler(severity_module.StandardScaler):
        def fit(self, features, y=None, sample_weight=None):
            scaled.append({patients[rows[tuple(row)]] for row in features})
            return super().fit(features, y, sample_weight)

        def transform(self, features, copy=None):
            if len(features) < len(x) / 2:  # the fold that is judged
                judged = {patients[rows[tuple(row)]] for row in features}
                assert not judged & scaled[-1]
            return super().transform(features, copy)

    monkeypatch.setattr(severity_module, "Ridge", Spy)
    monkeypatch.setattr(severity_module, "StandardScaler", SpyScaler)
    fit_severity(prediction, manifest, column="severity")
    assert fitted == [48, 48, 48, 48, 48, 60]  # five folds, then all films


def test_four_patients_are_too_few_for_five_folds():
    prediction, manifest = planted_films(20)
    images = manifest.images.assign(patient_id=[f"p{n % 4}" for n in range(20)])
    with pytest.raises(DataError, match="at least 5 patients, got 4"):
        fit_severity(prediction, replace(manifest, images=images), column="severity")
