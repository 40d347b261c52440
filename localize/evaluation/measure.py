"""`Measure`: metrics as functions of film weights, which makes the bootstrap a matrix product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data_manifests.support.arrays import Bools, Floats, Ints, Ints32

FILMS_AT_A_TIME = 65_536  # whose counts are widened to float64 together


@dataclass(frozen=True)
class Measure:
    """M metrics that are computed together.

    `values` takes film weights (R, I) - how often each of I films is in each of R resamples; ones
    for the plain value - and returns (R, M), NaN where a metric is undefined.
    """

    keys: tuple[str, ...]
    values: Callable[[Floats], Floats]


def ratio_measure(
    keys: tuple[str, ...],
    numerators: Floats | Ints | Bools,
    denominators: Floats | Ints | Bools,
) -> Measure:
    """Metrics that are a sum over films divided by a sum over films.

    The numerators are (I, M), the denominators (I, D): every D metrics share them, where D divides
    M. Whole numbers may be of any width, see `narrow`.
    """
    shared = numerators.shape[1] // denominators.shape[1]

    def values(weights: Floats) -> Floats:
        totals = np.tile(weighted_sums(weights, denominators), shared)
        return divide(weighted_sums(weights, numerators), totals)

    return Measure(keys, values)


def narrow(counts: Ints | Ints32) -> Ints:
    """The same counts, none negative, in the fewest bytes: a byte where none is above 255."""
    narrowed: Ints = counts.astype(np.min_scalar_type(counts.max(initial=0)))
    return narrowed


def weighted_sums(weights: Floats, columns: Floats | Ints | Bools) -> Floats:
    """`weights @ columns`; (R, M)."""
    if columns.dtype == np.float64:
        result: Floats = weights @ columns
        return result
    sums = np.zeros((len(weights), columns.shape[1]))
    for start in range(0, len(columns), FILMS_AT_A_TIME):
        films = slice(start, start + FILMS_AT_A_TIME)
        sums += weights[:, films] @ columns[films].astype(np.float64)
    return sums


def divide(numerator: Floats, denominator: Floats) -> Floats:
    """`numerator / denominator`, NaN where the denominator is 0."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    result: Floats = np.full(shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result
