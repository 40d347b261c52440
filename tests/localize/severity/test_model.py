"""Severity of one film: its features, the model and its file."""

from __future__ import annotations

import json

import numpy as np
import pytest

from data_manifests.support.errors import CheckpointError
from localize.severity.model import FEATURES, read_severity, write_severity
from localize.severity.scored_films import feature_table
from tests.localize.models import tiny_severity
from tests.localize.predictions import SIDE, make_prediction

HALF = SIDE / 2


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
