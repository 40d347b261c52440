"""Precision, recall and F1 from counts, with bootstrap intervals over sentences or reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_manifests.support.arrays import Floats, Ints

DRAWS = 1000
BATCH_DRAWS = 100  # weights of so many draws at a time, to bound the memory


@dataclass(frozen=True)
class Measure:
    """Counts with precision, recall and F1 (None where undefined) and the 95 % interval of F1."""

    hits: int
    gold: int
    found: int
    f1_low: float | None = None
    f1_high: float | None = None

    @property
    def precision(self) -> float | None:
        """Share of what was found that is right."""
        return self.hits / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        """Share of the gold that was found."""
        return self.hits / self.gold if self.gold else None

    @property
    def f1(self) -> float | None:
        """2 hits / (gold + found)."""
        return 2 * self.hits / (self.gold + self.found) if self.gold + self.found else None

    def as_row(self) -> dict[str, float | int | None]:
        """The numbers for a table or JSON; undefined is null."""
        return {
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "f1_low": self.f1_low,
            "f1_high": self.f1_high,
            "gold": self.gold,
            "found": self.found,
        }


def measure(counts: Ints | Sequence[Sequence[int]], *, seed: int = 0) -> Measure:
    """A measure from counts (N, 3): hits, gold and found of every sentence or report.

    The interval resamples the N rows with replacement (percentile bootstrap, 1,000 draws).
    """
    table = np.asarray(counts, dtype=np.int64).reshape(-1, 3)
    hits, gold, found = (int(total) for total in table.sum(axis=0))
    if gold + found == 0:
        return Measure(hits, gold, found)
    rows = len(table)
    generator = np.random.default_rng(seed)
    values: list[Floats] = []
    for start in range(0, DRAWS, BATCH_DRAWS):
        draws = min(BATCH_DRAWS, DRAWS - start)
        weights = generator.multinomial(rows, np.full(rows, 1 / rows), size=draws)
        sums = weights @ table
        below = sums[:, 1] + sums[:, 2]
        values.append(2 * sums[below > 0, 0] / below[below > 0])
    low, high = np.quantile(np.concatenate(values), (0.025, 0.975))
    return Measure(hits, gold, found, float(low), float(high))
