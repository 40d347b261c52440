"""`run_phantom`: every method on the phantom films of several seeds, judged on all films together.

For each seed a fresh phantom, detector and methods; intervals therefore cover the seeds as well as
the patients.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from data_manifests.tables.manifest import Manifest
from experiments.core.judge import ControlDifference, control_differences, judge_methods
from experiments.core.phantom_work import PhantomWork, make_in_processes
from experiments.core.pooling import pooled_manifest, pooled_prediction
from experiments.core.sides import NO_SIDES, SideCount, kept_sides
from experiments.methods.classifier import ClassifierSettings
from experiments.methods.method import Method, method_prediction
from localize.evaluation.report import Evaluation
from localize.pipeline.phantom_stages import PhantomSize
from localize.prediction.tables import Prediction


@dataclass(frozen=True)
class PhantomResult:
    """All methods on the pooled test films, and the share of side words that found their side.

    `controls`: how far `proposed` is from its controls. `pairs` is the mean number of training
    films of hospital B.
    """

    evaluations: Mapping[str, Evaluation]
    controls: Sequence[ControlDifference]
    predictions: Mapping[str, Prediction]
    sides: Mapping[str, SideCount]
    truth: Manifest
    methods: tuple[Method, ...]
    pairs: float


def run_phantom(
    out: Path,
    *,
    seeds: Sequence[int],
    size: PhantomSize,
    methods: Sequence[Method],
    classifier: ClassifierSettings | None = None,
    shift: float | None = None,
    pairs: int | None = None,
    processes: int = 1,
) -> Iterator[str | PhantomResult]:
    """Train and judge every method on every seed; yields progress lines, at the end the result.

    Finished parts in `out` are not made again; `shift` and `pairs` as in `PhantomWork`. With
    several `processes` seeds and methods are made at a time, each with one thread.
    """
    work = PhantomWork(out, size, tuple(methods), classifier or ClassifierSettings(), shift, pairs)
    if processes > 1:
        yield from make_in_processes(work, seeds, processes)
    predictions: dict[str, list[tuple[int, Prediction]]] = {one.name: [] for one in methods}
    sides = {method.name: NO_SIDES for method in methods}
    tests, pair_counts = [], []
    for seed in seeds:
        yield f"seed {seed}"
        road, test = work.road(seed)
        tests.append((seed, test.films))
        pair_counts.append(len(road.parts.pairs.split("train").images))
        for method in methods:
            predictions[method.name].append((seed, method_prediction(method, road, test)))
            if method.bundle is not None:
                place, bundle = road.place / method.name, method.bundle(road)
                sides[method.name] += kept_sides(place, bundle, test.films, road.device)
    truth = pooled_manifest(tests)
    pooled = {
        method.name: pooled_prediction(predictions[method.name], method.draws) for method in methods
    }
    yield PhantomResult(
        evaluations=judge_methods(pooled, methods, truth, planted_attributes(truth)),
        controls=control_differences(pooled, methods, truth),
        predictions=pooled,
        sides=sides,
        truth=truth,
        methods=tuple(methods),
        pairs=sum(pair_counts) / len(pair_counts),
    )


def planted_attributes(truth: Manifest) -> pd.DataFrame:
    """The planted attributes of every film, whatever its report says."""
    planted = [name for name in truth.labels.columns if str(name).startswith("kw_")]
    table = truth.labels[["image_id", *planted]]
    return table.rename(columns={name: str(name).removeprefix("kw_") for name in planted})
