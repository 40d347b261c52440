"""`read_scores` and `differences`: rows of the controlled experiment on gates, with intervals.

Every metric is the mean over the seeds of the metric of each seed. An interval over patients
resamples the patients of each seed; one over seeds is Student's t on the seeds' own values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy import stats

from data_manifests.support.arrays import Floats
from experiments.attention.adapted import SOURCES as ADAPTED
from experiments.attention.ranked import RankedBoxes, read_ranked
from experiments.attention.run import PREDICTIONS, TRUTH
from localize.evaluation.average_precision import average_precision_measure
from localize.evaluation.bootstrap import INTERVAL_PERCENT, patient_weights
from localize.evaluation.measure import Measure
from localize.evaluation.probability import probability_measure
from localize.evaluation.top_k_recall import box_recall_measure

METRICS = ("iou_25", "iou_50", "iou_75", "ap_50", "film_auc")
THRESHOLDS = np.array([0.25, 0.5, 0.75])
BASE_PAIRS = "retinanet", "size_prior", "best_available"  # methods that use no pairs
BASELINE = "retinanet"
MINUS: dict[str, tuple[str, ...]] = {
    "truth": (BASELINE,),
    "report_adapted": (BASELINE, "report_adapted_shuffled", "report_adapted_more_steps"),
    "report_adapted_proposed": (BASELINE, "report_adapted_shuffled", "report_adapted", "proposed"),
}
REPLICATES = 1000
BOOTSTRAP_SEED = 0


@dataclass(frozen=True)
class MethodScores:
    """One method of one seed: `plain` (M,) metrics and `resampled` (R, M), M as METRICS."""

    method: str
    pairs: int
    seed: int
    plain: Floats
    resampled: Floats


@dataclass(frozen=True)
class Difference:
    """Method `a` minus method `b` on the `seeds` that both were run on: mean and 95 % interval;
    `over` is patients or seeds."""

    a: str
    b: str
    pairs: int
    metric: str
    mean: float
    low: float | None
    high: float | None
    over: str
    seeds: int


def read_scores(
    out: Path, seeds: Sequence[int], *, replicates: int = REPLICATES
) -> list[MethodScores]:
    """All predictions of a run, evaluated; methods without pairs have `pairs` 0."""
    found = []
    for seed in seeds:
        folder = out / PREDICTIONS / f"seed_{seed}"
        with np.load(folder / TRUTH) as truth:
            boxes = tuple(np.split(truth["boxes"], np.cumsum(truth["counts"])[:-1]))
            weights = patient_weights(truth["patients"], range(replicates), BOOTSTRAP_SEED)
        weights = np.concatenate([np.ones((1, len(boxes))), weights])
        for path in sorted(folder.glob("[0-9]*.npz")):
            pairs, _, method = path.stem.partition("_")
            values = _values(read_ranked(path), boxes, weights)
            count = 0 if method in BASE_PAIRS else int(pairs)
            found.append(MethodScores(method, count, seed, values[0], values[1:]))
    return found


def _values(ranked: RankedBoxes, true_boxes: Sequence[Floats], weights: Floats) -> Floats:
    boxes = ranked.film_boxes(true_boxes)
    has_box = np.array([len(one) > 0 for one in true_boxes], np.float64)
    probability = 1 / (1 + np.exp(-ranked.film_scores.astype(np.float64)))
    measures: list[Measure] = [
        box_recall_measure("iou", boxes.first(boxes.true_counts()), THRESHOLDS),
        average_precision_measure(boxes, np.array([0.5])),
        probability_measure("film", probability, has_box),
    ]
    columns = [measure.values(weights) for measure in measures]
    return np.concatenate([columns[0], columns[1], columns[2][:, :1]], axis=1)


def differences(scores: Sequence[MethodScores]) -> list[Difference]:
    """`proposed` minus every other method, and those of MINUS, by number of pairs."""
    by_key: dict[tuple[str, int], list[MethodScores]] = {}
    for one in scores:
        by_key.setdefault((one.method, one.pairs), []).append(one)
    found = []
    for (a, pairs), first in sorted(by_key.items(), key=lambda item: (item[0][1], item[0][0])):
        for (b, other_pairs), second in sorted(by_key.items()):
            is_minuend = a == "proposed" and b not in (a, "best_available", *ADAPTED)
            if (is_minuend or b in MINUS.get(a, ())) and other_pairs in (0, pairs):
                found += _difference(a, b, pairs, first, second)
    return found


def _difference(
    a: str, b: str, pairs: int, first: Sequence[MethodScores], second: Sequence[MethodScores]
) -> list[Difference]:
    others = {one.seed: one for one in second}
    both = [(one, others[one.seed]) for one in first if one.seed in others]
    if not both:
        return []
    plain = np.array([one.plain - other.plain for one, other in both])
    resampled = np.mean([one.resampled - other.resampled for one, other in both], axis=0)
    rows = []
    for k, metric in enumerate(METRICS):
        mean = float(plain[:, k].mean())
        low, high = np.nanpercentile(resampled[:, k], INTERVAL_PERCENT)
        rows.append(
            Difference(a, b, pairs, metric, mean, float(low), float(high), "patients", len(both))
        )
        rows.append(
            Difference(a, b, pairs, metric, mean, *t_interval(plain[:, k]), "seeds", len(both))
        )
    return rows


def t_interval(values: Floats) -> tuple[float | None, float | None]:
    """Student's 95 % interval of the mean; None for a single value."""
    if len(values) < 2:
        return None, None
    half = _quantile(len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


@cache
def _quantile(freedom: int) -> float:
    return float(stats.t.ppf(0.975, freedom))
