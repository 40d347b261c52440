"""Severity: features of hand-made predictions, the fit, its folds and its file."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from data_manifests.support.errors import CheckpointError, DataError
from localize.evaluation.bootstrap import patient_weights
from localize.severity import agreement
from localize.severity import fit as severity_module
from localize.severity.agreement import evaluate_severity, pearson_measure
from localize.severity.fit import fit_severity, severity_table
from localize.severity.model import FEATURES, read_severity, write_severity
from localize.severity.scored_films import feature_table
from tests.localize.models import tiny_severity
from tests.localize.predictions import SIDE, make_prediction, make_truth

HALF = SIDE / 2


@pytest.fixture(autouse=True)
def _few_replicates(monkeypatch):
    monkeypatch.setattr(agreement, "REPLICATES", 100)


def features_of(boxes, **attributes) -> dict[str, float]:
    prediction = make_prediction(
        ["a"], boxes, p_pneumonia=[0.7], attributes={k: [v] for k, v in attributes.items()}
    )
    return dict(zip(FEATURES, feature_table(prediction)[0], strict=True))


@pytest.mark.parametrize(
    ("box", "left", "right"),
    [
        ((0, 0, HALF, SIDE), 1.0, 0.0),  # the whole left half
        ((HALF, 0, SIDE, SIDE), 0.0, 1.0),
        ((0, 0, SIDE, SIDE), 1.0, 1.0),
        ((HALF - 64, 0, HALF + 128, HALF), 0.125, 0.25),  # cut at the middle
        ((HALF - 64, 0, HALF, SIDE), 0.25, 0.0),  # touches the middle
    ],
)
def test_extents_are_shares_of_each_half_film(box, left, right):
    found = features_of([("a", *box, 0.5)])
    assert found["root_extent_left_half"] ** 2 == pytest.approx(0.5 * left)
    assert found["root_extent_right_half"] ** 2 == pytest.approx(0.5 * right)


def test_boxes_add_up_by_their_scores():
    boxes = [("a", 0, 0, HALF, HALF, 0.8), ("a", 0, HALF, HALF, SIDE, 0.2)]
    extent = features_of(boxes)["root_extent_left_half"] ** 2
    assert extent == pytest.approx(0.8 * 0.5 + 0.2 * 0.5)


def test_a_film_without_boxes_has_its_probability_and_no_extent():
    found = features_of([])
    assert found["p_pneumonia"] == 0.7
    assert found["logit_p_pneumonia"] == pytest.approx(np.log(0.7 / 0.3))
    assert (found["root_extent_left_half"], found["root_extent_right_half"]) == (0.0, 0.0)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_a_certain_film_has_a_finite_logit(probability):
    prediction = make_prediction(["a"], p_pneumonia=[probability])
    assert np.isfinite(feature_table(prediction)).all()


def test_a_skipped_film_has_no_features():
    prediction = make_prediction(["a", "b"], status=["ok", "skipped"], p_pneumonia=[0.5, np.nan])
    features = feature_table(prediction)
    assert np.isfinite(features[0]).all()
    assert np.isnan(features[1]).all()


def planted_films(films=80, *, seed=0, noise=0.0):
    """Scores that are a linear rule of the features; two films a patient."""
    random = np.random.default_rng(seed)
    ids = [f"film-{n}" for n in range(films)]
    boxes = []
    for image_id in ids:
        for x in (0, HALF):
            width, height = random.uniform(50, HALF, 2)
            boxes.append((image_id, x, 0, x + width, height, random.uniform(0.1, 1)))
    attributes = {name: random.random(films) for name in ("mild", "severe", "diffuse")}
    prediction = make_prediction(
        ids, boxes, p_pneumonia=random.random(films), attributes=attributes
    )
    features = pd.DataFrame(feature_table(prediction), columns=list(FEATURES))
    left, right = features["root_extent_left_half"], features["root_extent_right_half"]
    score = 1 + 6 * left + 4 * right - 2 * features["p_pneumonia"]
    score += noise * random.standard_normal(films)
    truth = make_truth(ids, patients=[f"p-{n // 2}" for n in range(films)])
    labels = pd.DataFrame({"image_id": ids, "severity": score.to_numpy()})
    return prediction, replace(truth, labels=labels)


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda labels: labels.drop(columns="severity"), "expected a column 'severity'"),
        (lambda labels: labels.head(9), "at least 10 scored films .* got 9"),
        (lambda labels: labels.assign(severity=3.0), "of different severity"),
        (lambda labels: labels.assign(severity="severe"), "expected numbers or blanks, got text"),
    ],
    ids=["no column", "too few", "one score", "text"],
)
def test_scores_that_cannot_be_learned_from_are_refused(change, message):
    prediction, manifest = planted_films(20)
    manifest = replace(manifest, labels=change(manifest.labels))
    with pytest.raises(DataError, match=message):
        fit_severity(prediction, manifest, column="severity")


def test_four_patients_are_too_few_for_five_folds():
    prediction, manifest = planted_films(20)
    images = manifest.images.assign(patient_id=[f"p{n % 4}" for n in range(20)])
    with pytest.raises(DataError, match="at least 5 patients, got 4"):
        fit_severity(prediction, replace(manifest, images=images), column="severity")


def test_unscored_and_skipped_films_are_left_out():
    prediction, manifest = planted_films(30)
    prediction.images.loc[0, ["status", "p_pneumonia"]] = ["skipped", np.nan]
    manifest.labels.loc[1:3, "severity"] = np.nan
    assert fit_severity(prediction, manifest, column="severity").films == 26


def test_a_model_survives_its_file(tmp_path):
    write_severity(tiny_severity(), tmp_path / "severity.json")
    assert read_severity(tmp_path / "severity.json") == tiny_severity()


def changed_file(**changes) -> bytes:
    content = json.loads(json.dumps(vars(tiny_severity())))
    return json.dumps({**content, **changes}).encode()


HOSTILE = {
    "not JSON": b"{",
    "nested too deep": b"[" * 100_000,
    "NaN": changed_file(intercept=float("nan")),
    "infinity": changed_file(residual=float("inf")),
    "an unknown field": changed_file(code="import os"),
    "other features": changed_file(features=["age"], coefficients=[1.0]),
    "too few coefficients": changed_file(coefficients=[1.0]),
    "text": changed_file(coefficients=["1e3x"] * len(FEATURES)),
    "a pickle": b"cos\nsystem\n(S'true'\ntR.",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused(tmp_path, content):
    (tmp_path / "severity.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"severity\.json: expected"):
        read_severity(tmp_path / "severity.json")
