"""`run_phantom`: every method on the phantom films of several seeds, evaluated on all together.

Each seed has films, detector and methods of its own, so intervals cover seeds and patients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd

from data_manifests.tables.manifest import Manifest
from experiments.core.evaluate_methods import (
    MethodDifference,
    Predictions,
    differences_to_controls,
    evaluate_methods,
)
from experiments.core.phantom_seed import DATASET, PhantomRun
from experiments.core.processes import Job, run_jobs
from experiments.core.repeats import pool_films, pool_predictions
from experiments.core.side_accuracy import SideAccuracy, side_accuracy
from experiments.methods.inputs import Progress, no_progress
from experiments.methods.method import Method, method_predictions
from localize.evaluation.report import Evaluation


@dataclass(frozen=True)
class PhantomResult:
    """All methods on the test films of all seeds.

    `predictions` has one for each repeat of a method; `sides` the methods that state sides; `pairs`
    is the mean number of training films of hospital B.
    """

    evaluations: Mapping[str, Evaluation]
    differences: Sequence[MethodDifference]
    predictions: Predictions
    sides: Mapping[str, SideAccuracy]
    truth: Manifest
    methods: tuple[Method, ...]
    pairs: float


def run_phantom(
    run: PhantomRun,
    methods: Sequence[Method],
    seeds: Sequence[int],
    *,
    processes: int = 1,
    progress: Progress = no_progress,
) -> PhantomResult:
    """Train and evaluate every method on every seed.

    With several `processes` seeds and methods run in parallel, one thread each.
    """
    for method in methods:
        method.check_installed()
    if processes > 1:
        run_jobs(_jobs(run, methods, seeds), processes, progress)
    by_seed: dict[int, Predictions] = {}
    sides = {method.name: SideAccuracy(0, 0) for method in methods}
    tests, pair_counts = [], []
    for seed in seeds:
        progress(f"seed {seed}: films and detector")
        inputs, test, found = run.inputs(seed), run.test_set(seed), {}
        tests.append((seed, test.films))
        pair_counts.append(len(inputs.parts.pairs.split("train").images))
        for method in methods:
            progress(f"seed {seed}: {method.name}")
            found[method.name] = method_predictions(method, inputs, test)
            sides[method.name] += side_accuracy(method, inputs, test)
        by_seed[seed] = found
    truth, pooled = pool_films(tests), pool_seeds(by_seed)
    return PhantomResult(
        evaluations=evaluate_methods(pooled, methods, truth, targets=planted_attributes(truth)),
        differences=differences_to_controls(pooled, methods, DATASET, truth),
        predictions=pooled,
        sides={name: one for name, one in sides.items() if one.asked},
        truth=truth,
        methods=tuple(methods),
        pairs=sum(pair_counts) / len(pair_counts),
    )


def pool_seeds(by_seed: Mapping[int, Predictions]) -> Predictions:
    """The predictions of all seeds as one, for each method and repeat."""
    first = next(iter(by_seed.values()))
    return {
        name: [
            pool_predictions([(seed, found[name][number]) for seed, found in by_seed.items()])
            for number in range(len(repeats))
        ]
        for name, repeats in first.items()
    }


def planted_attributes(truth: Manifest) -> pd.DataFrame:
    """The planted attributes of every film, also those that its report does not mention."""
    planted = [name for name in truth.labels.columns if str(name).startswith("kw_")]
    table = truth.labels[["image_id", *planted]]
    return table.rename(columns={name: str(name).removeprefix("kw_") for name in planted})


def _jobs(run: PhantomRun, methods: Sequence[Method], seeds: Sequence[int]) -> list[Job]:
    """For each seed its films and detector, then each method."""
    return [
        Job(
            f"seed {seed}: films and detector",
            partial(_prepare, run, seed),
            tuple(
                Job(f"seed {seed}: {method.name}", partial(_run_method, run, seed, method))
                for method in methods
            ),
        )
        for seed in seeds
    ]


def _prepare(run: PhantomRun, seed: int) -> None:
    run.prepare(seed)


def _run_method(run: PhantomRun, seed: int, method: Method) -> None:
    """Leave the method's cached predictions in its folder."""
    inputs, test = run.inputs(seed), run.test_set(seed)
    method_predictions(method, inputs, test)
    side_accuracy(method, inputs, test)
