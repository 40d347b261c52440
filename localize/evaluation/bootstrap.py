"""Patient bootstrap: 95% intervals of metrics, and of paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_manifests.support.arrays import Floats, Ints
from localize.evaluation.measure import Measure

# Elements of one block of resamples times boxes; a dozen blocks of float64 fit into 100 MB.
MAX_BLOCK = 1_000_000
INTERVAL_PERCENT = (2.5, 97.5)


@dataclass(frozen=True)
class Estimate:
    """A metric with its 95% interval; None where it is undefined."""

    value: float | None
    low: float | None
    high: float | None


def patient_weights(patients: Ints, replicates: range, seed: int) -> Floats:
    """How often each film is in each resample of patients; (R, I).

    A resample draws as many patients as there are, with replacement, and takes all their films.
    Resample r depends on (seed, r) only, not on how many are drawn together.

    Args:
        patients: (I,) patient index of each film, from 0 without gaps.
        replicates: the numbers of the resamples.
        seed: not negative.
    """
    count = int(patients.max()) + 1 if len(patients) else 0
    drawn = np.zeros((len(replicates), count))
    for row, replicate in enumerate(replicates):
        generator = np.random.default_rng([seed, replicate])
        if count:
            drawn[row] = np.bincount(generator.integers(count, size=count), minlength=count)
    return drawn[:, patients]


def bootstrap_values(
    measures: Sequence[Measure],
    patients: Ints,
    *,
    replicates: int,
    seed: int,
    largest: int,
) -> Floats:
    """Plain values and resampled ones of all metrics; (1 + replicates, M), the plain ones first.

    `largest` is the longest per-row array that a measure makes (boxes or films): it sets how many
    resamples are computed together.
    """
    films = len(patients)
    rows = [_all_values(measures, np.ones((1, films)))]
    block = max(1, MAX_BLOCK // max(1, largest, films))
    for start in range(0, replicates, block):
        numbers = range(start, min(start + block, replicates))
        rows.append(_all_values(measures, patient_weights(patients, numbers, seed)))
    return np.concatenate(rows)


def _all_values(measures: Sequence[Measure], weights: Floats) -> Floats:
    return np.concatenate([measure.values(weights) for measure in measures], axis=1)


def estimates(values: Floats) -> list[Estimate]:
    """Values with percentile intervals from (1 + R, M) as `bootstrap_values` gives them.

    Resamples where a metric is undefined (no positive drawn, say) are left out; with fewer than
    half of them left, or none drawn, there is no interval.
    """
    result = []
    for column in values.T:
        value, resampled = column[0], column[1:]
        defined = resampled[np.isfinite(resampled)]
        if not np.isfinite(value):
            result.append(Estimate(None, None, None))
        elif len(defined) == 0 or 2 * len(defined) < len(resampled):
            result.append(Estimate(float(value), None, None))
        else:
            low, high = np.percentile(defined, INTERVAL_PERCENT)
            result.append(Estimate(float(value), float(low), float(high)))
    return result
