"""`Measure`: metrics as functions of film weights, which makes the bootstrap a matrix product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data_manifests.support.arrays import Floats


@dataclass(frozen=True)
class Measure:
    """M metrics that are computed together.

    `values` takes film weights (R, I) - how often each of I films is in each of R resamples; ones
    for the plain value - and returns (R, M), NaN where a metric is undefined.
    """

    keys: tuple[str, ...]
    values: Callable[[Floats], Floats]


def ratio_measure(keys: tuple[str, ...], numerators: Floats, denominators: Floats) -> Measure:
    """Metrics that are a sum over films divided by a sum over films; both inputs (I, M)."""

    def values(weights: Floats) -> Floats:
        return divide(weights @ numerators, weights @ denominators)

    return Measure(keys, values)


def divide(numerator: Floats, denominator: Floats) -> Floats:
    """`numerator / denominator`, NaN where the denominator is 0."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    result: Floats = np.full(shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result
