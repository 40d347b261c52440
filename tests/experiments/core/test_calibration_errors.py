"""The calibration error at other shares of films with an opacity."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from experiments.core import calibration_errors as module
from experiments.core.calibration_errors import calibration_errors
from localize.bundle.calibration import Calibration


def simulated(films, share, *, seed=0):
    """Probabilities that are right where half of the films have an opacity, in a set of `share`."""
    rng = np.random.default_rng(seed)
    has_opacity = rng.random(films) < share
    score = rng.normal(np.where(has_opacity, 0.8, -0.8))
    p = 1 / (1 + np.exp(-1.6 * score))
    ids = [f"film-{k}" for k in range(films)]
    images = pd.DataFrame({"image_id": ids, "patient_id": ids})
    labels = pd.DataFrame({"image_id": ids, "pneumonia": has_opacity.astype(float)})
    order = rng.permutation(films)  # tables need not agree in their order
    predicted = SimpleNamespace(images=images.assign(p_pneumonia=p).iloc[order])
    return predicted, SimpleNamespace(images=images, labels=labels), p, has_opacity


def error_by_hand(p, target, weights):
    """Ten bins, film by film."""
    gaps = [0.0] * 10
    for one, label, weight in zip(p, target, weights, strict=True):
        gaps[min(9, int(one * 10))] += weight * (label - one)
    return sum(map(abs, gaps)) / weights.sum()


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_three_errors_are_those_of_a_plain_computation(share, monkeypatch):
    monkeypatch.setattr(module, "REPLICATES", 50)
    predicted, films, p, truth = simulated(1500, share)
    found = calibration_errors(predicted, films, Calibration(prevalence=0.5))
    own_share = truth.mean()
    odds = p / (1 - p) * own_share / (1 - own_share)
    weights = np.where(truth, 0.5 / own_share, 0.5 / (1 - own_share))
    ones = np.ones(len(p))
    assert found.as_predicted.value == pytest.approx(error_by_hand(p, truth, ones))
    assert found.at_reference.value == pytest.approx(error_by_hand(p, truth, weights))
    assert found.at_own.value == pytest.approx(error_by_hand(odds / (1 + odds), truth, ones))
    assert (found.films, found.prevalence) == (1500, pytest.approx(own_share))
    assert found.at_own.low <= found.at_own.high


def test_a_right_map_has_the_floors_error_at_the_share_that_is_given(monkeypatch):
    monkeypatch.setattr(module, "REPLICATES", 50)
    predicted, films, *_ = simulated(1500, 0.1)
    found = calibration_errors(predicted, films, Calibration(prevalence=0.5))
    assert found.as_predicted.value > 0.1
    assert found.at_own.value == pytest.approx(found.floor, abs=0.012)


def test_films_of_unknown_label_do_not_count(monkeypatch):
    monkeypatch.setattr(module, "REPLICATES", 50)
    predicted, films, *_ = simulated(300, 0.5)
    films.labels.loc[:99, "pneumonia"] = np.nan
    assert calibration_errors(predicted, films, Calibration(prevalence=0.5)).films == 200
