"""`judge_methods`: predictions of the same films, each against the truth and the baseline."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pandas as pd

from data_manifests.tables.manifest import Manifest
from experiments.core.repeats import repeated_manifest, repeated_prediction
from experiments.methods.method import BASELINE, PROPOSED, Method
from localize.evaluation.bootstrap import Estimate
from localize.evaluation.evaluate import evaluate
from localize.evaluation.report import Evaluation
from localize.prediction.tables import Prediction


def judge_methods(
    predictions: Mapping[str, Prediction],
    methods: Sequence[Method],
    truth: Manifest,
    targets: pd.DataFrame | None = None,
) -> dict[str, Evaluation]:
    """Each method's evaluation with the paired difference to RetinaNet, if that is among them.

    A method of several draws is judged on as many copies of the films, so that each number is the
    mean of its draws and the bootstrap takes all copies of a patient together; its counts of films
    are those of the copies. Attributes are judged where the method has learnt any.
    """
    baseline = predictions.get(BASELINE)

    def judge(method: Method) -> Evaluation:
        prediction, compared, films = predictions[method.name], baseline, truth
        if method.draws > 1:
            films = repeated_manifest(truth, method.draws)
            compared = None if baseline is None else repeated_prediction(baseline, method.draws)
        return evaluate(
            prediction,
            films,
            baseline=None if method.name == BASELINE else compared,
            targets=None if method.bundle is None else targets,
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # most of the time is numpy's
        return dict(zip((one.name for one in methods), pool.map(judge, methods), strict=True))


@dataclass(frozen=True)
class ControlDifference:
    """`proposed` minus a control, paired, by metric."""

    control: str
    differences: Mapping[str, Estimate]


def control_differences(
    predictions: Mapping[str, Prediction], methods: Sequence[Method], truth: Manifest
) -> list[ControlDifference]:
    """`proposed` against each other method that trains the detector further: what its reports give.

    Empty where `proposed` is not among the methods, or adapts nothing.
    """
    ours = next((one for one in methods if one.name == PROPOSED and one.adapts), None)
    if ours is None:
        return []
    films = repeated_manifest(truth, ours.draws) if ours.draws > 1 else truth
    found = []
    for method in methods:
        if not method.adapts or method.name == PROPOSED:
            continue
        rows = evaluate(predictions[PROPOSED], films, baseline=predictions[method.name]).rows
        differences = {row.key: row.difference for row in rows if row.difference is not None}
        found.append(ControlDifference(method.name, differences))
    return found
