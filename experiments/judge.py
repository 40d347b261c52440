"""`judge_methods`: predictions of the same films, each against the truth and the baseline."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pandas as pd

from data_manifests.manifest import Manifest
from experiments.baselines.region_choice import repeated_manifest, repeated_prediction
from experiments.methods import BASELINE, Method
from localize.evaluate import evaluate
from localize.evaluation import Evaluation
from localize.prediction import Prediction


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
