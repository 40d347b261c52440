"""`evaluate_methods`: each method against the true boxes and, paired, against RetinaNet."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pandas as pd

from data_manifests.tables.manifest import Manifest
from experiments.core.repeats import join_repeats, repeat_films
from experiments.methods.method import Method
from experiments.methods.names import BASELINE, NOT_COMPARED, REPORT_TAUGHT, UNTRAINED_CONTROLS
from localize.evaluation.bootstrap import Estimate
from localize.evaluation.evaluate import evaluate
from localize.evaluation.report import Evaluation
from localize.prediction.tables import Prediction

# By method, one prediction for each of its repeats.
Predictions = Mapping[str, Sequence[Prediction]]


def evaluate_methods(
    predictions: Predictions,
    methods: Sequence[Method],
    truth: Manifest,
    *,
    targets: pd.DataFrame | None = None,
    baseline: str = BASELINE,
) -> dict[str, Evaluation]:
    """The evaluation of each method, with the paired difference to `baseline` if it is there.

    A method with several repeats is evaluated on as many copies of the films: its metrics are means
    over the repeats, and its film counts are those of the copies. `targets` are attributes as in
    `evaluate`, used for the methods that predict attributes.
    """

    def evaluate_one(method: Method) -> Evaluation:
        compared = None
        if baseline in predictions and method.name != baseline:
            compared = join_repeats([predictions[baseline][0]] * method.repeats)
        prediction = join_repeats(predictions[method.name])
        return evaluate(
            prediction,
            repeat_films(truth, method.repeats),
            baseline=compared,
            targets=targets if prediction.keywords() else None,
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # numpy releases the lock most of the time
        found = pool.map(evaluate_one, methods)
        return dict(zip((method.name for method in methods), found, strict=True))


@dataclass(frozen=True)
class MethodDifference:
    """Method `a` minus method `b` on the films of `dataset`, paired, by metric."""

    dataset: str
    a: str
    b: str
    by_metric: Mapping[str, Estimate]


def differences_to_controls(
    predictions: Predictions, methods: Sequence[Method], dataset: str, truth: Manifest
) -> list[MethodDifference]:
    """Each method that learns from reports minus each control: what the reports add to training.

    Controls are the other methods that train the detector further, and UNTRAINED_CONTROLS; gates
    are controls of gates alone.
    """
    trained = [
        method for method in methods if method.trains_detector and method.name not in NOT_COMPARED
    ]
    untrained = [method for method in methods if method.name in UNTRAINED_CONTROLS]
    pairs = [
        (ours, control)
        for ours in trained
        for control in (*trained, *untrained)
        if ours.name in REPORT_TAUGHT
        and control.name not in REPORT_TAUGHT
        and (ours.trains_gate or not control.trains_gate)
    ]
    return [
        MethodDifference(
            dataset,
            ours.name,
            control.name,
            {
                row.key: row.difference
                for row in evaluate(
                    join_repeats(predictions[ours.name]),
                    repeat_films(truth, ours.repeats),
                    baseline=join_repeats(predictions[control.name]),
                ).rows
                if row.difference is not None
            },
        )
        for ours, control in pairs
    ]
