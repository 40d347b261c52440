"""Which predicted films have an expert's score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data_manifests.support.errors import DataError
from localize.severity.fit import fit_severity, severity_table
from tests.localize.severity.planted import planted_films


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


def test_a_prediction_with_another_prevalence_is_refused():
    prediction, manifest = planted_films(20)
    as_the_model = replace(prediction, info={"prevalence": {"stated": 0.5, "model": 0.5}})
    fitted = fit_severity(as_the_model, manifest, column="severity")
    assert fitted == fit_severity(prediction, manifest, column="severity")
    other = replace(prediction, info={"prevalence": {"stated": 0.1, "model": 0.5}})
    with pytest.raises(DataError, match=r"the model's own, 0\.5, got 0\.1; predict the films"):
        fit_severity(other, manifest, column="severity")
    with pytest.raises(DataError, match="the model's own"):
        severity_table(other, fitted)


def test_unscored_and_skipped_films_are_left_out():
    prediction, manifest = planted_films(30)
    prediction.images.loc[0, ["status", "p_pneumonia"]] = ["skipped", np.nan]
    manifest.labels.loc[1:3, "severity"] = np.nan
    assert fit_severity(prediction, manifest, column="severity").films == 26
