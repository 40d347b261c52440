"""Methods against the truth, the baseline and the controls."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.core.evaluate_methods import differences_to_controls, evaluate_methods
from localize.evaluation.evaluate import evaluate
from tests.experiments.methods_for_tests import FILMS, Given, GivenAdapted, GivenGate, other_scores
from tests.localize.predictions import random_pair


def iou(prediction, truth):
    return evaluate(prediction, truth, replicates=0).value("iou_at_0.5")


def test_repeats_count_as_their_mean_against_the_baseline():
    _, truth = random_pair(0, films=FILMS)
    methods = [Given(name="retinanet"), Given(name="other", repeats=3)]
    predictions = {"retinanet": [other_scores(9)], "other": [other_scores(k) for k in range(3)]}
    row = evaluate_methods(predictions, methods, truth)["other"].row("iou_at_0.5")
    mean = np.mean([iou(one, truth) for one in predictions["other"]])
    assert row.estimate.value == pytest.approx(mean)
    assert row.difference.value == pytest.approx(mean - iou(other_scores(9), truth))


def test_report_adapted_methods_are_compared_with_each_control():
    _, truth = random_pair(0, films=FILMS)
    methods = [
        Given(name="retinanet"),
        GivenAdapted(name="report_adapted"),
        GivenAdapted(name="report_adapted_proposed"),
        GivenAdapted(name="own"),
        Given(name="proposed"),
    ]
    predictions = {one.name: [other_scores(k)] for k, one in enumerate(methods)}
    found = differences_to_controls(predictions, methods, "films", truth)
    assert [(one.a, one.b) for one in found] == [
        ("report_adapted", "own"),
        ("report_adapted_proposed", "own"),
    ]
    values = {name: iou(one[0], truth) for name, one in predictions.items()}
    for one in found:
        difference = one.by_metric["iou_at_0.5"]
        assert difference.value == pytest.approx(values[one.a] - values[one.b])
        assert difference.low <= difference.value <= difference.high
    assert len(set(values.values())) > 2


def test_gates_are_controls_of_gates_alone():
    _, truth = random_pair(0, films=FILMS)
    methods = [
        GivenAdapted(name="report_adapted"),
        GivenGate(name="proposed"),
        GivenAdapted(name="own"),
        GivenGate(name="proposed_shuffled"),
        GivenGate(name="proposed_rois_shuffled"),
    ]
    predictions = {one.name: [other_scores(k)] for k, one in enumerate(methods)}
    found = differences_to_controls(predictions, methods, "films", truth)
    assert [(one.a, one.b) for one in found] == [
        ("report_adapted", "own"),
        ("proposed", "own"),
        ("proposed", "proposed_shuffled"),
    ]


def test_controls_alone_are_not_compared():
    prediction, truth = random_pair(0, films=FILMS)
    methods = [Given(name="report_adapted"), GivenAdapted(name="own")]
    predictions = {one.name: [prediction] for one in methods}
    assert differences_to_controls(predictions, methods, "films", truth) == []
