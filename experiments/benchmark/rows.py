"""`BenchmarkRow`: one measurement beside its baseline; `alternately` times several in turn."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Literal

RatioIs = Literal["ours / baseline", "baseline / ours"]


@dataclass(frozen=True)
class BenchmarkRow:
    """One measurement; medians of `runs`.

    `baseline_is` describes the `baseline`, None where there is nothing to compare with. `goal` is a
    bound on the ratio such as "<= 1.10", "" for none. `detail` has further numbers.
    """

    name: str
    group: str
    what: str
    ours: float
    unit: str
    runs: int
    baseline: float | None = None
    baseline_is: str = ""
    ratio_is: RatioIs = "ours / baseline"
    goal: str = ""
    detail: Mapping[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.goal and self.goal.split()[0] not in ("<=", ">="):
            raise ValueError(f"goal: expected '<= number' or '>= number', got {self.goal!r}")

    @property
    def ratio(self) -> float | None:
        """Ours against the baseline, as `ratio_is` says."""
        if self.baseline is None:
            return None
        pair = (self.ours, self.baseline)
        over, under = pair if self.ratio_is == "ours / baseline" else pair[::-1]
        return over / under if under else None

    @property
    def is_met(self) -> bool | None:
        """Whether the ratio keeps to the goal; None where there is no goal."""
        if not self.goal or self.ratio is None:
            return None
        sign, bound = self.goal.split()
        return self.ratio <= float(bound) if sign == "<=" else self.ratio >= float(bound)

    def as_json(self) -> dict[str, object]:
        """The row of `benchmark.json`."""
        return {
            "name": self.name,
            "group": self.group,
            "what": self.what,
            "ours": _rounded(self.ours),
            "baseline": _rounded(self.baseline),
            "unit": self.unit,
            "ratio": _rounded(self.ratio),
            "ratio_is": self.ratio_is,
            "goal": self.goal,
            "is_met": self.is_met,
            "baseline_is": self.baseline_is,
            "runs": self.runs,
            "detail": {
                name: value if isinstance(value, str) else _rounded(value)
                for name, value in self.detail.items()
            },
        }


def scaled(row: BenchmarkRow, factor: float) -> BenchmarkRow:
    """The same row with both times multiplied, for example to milliseconds a film."""
    baseline = None if row.baseline is None else row.baseline * factor
    return replace(row, ours=row.ours * factor, baseline=baseline)


def seconds_of(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternately(works: Sequence[Callable[[], object]], runs: int) -> list[float]:
    """Median wall seconds of each work: each once unmeasured, then in turn `runs` times.

    In turn, so that a machine that slows down slows all of them.
    """
    for work in works:
        work()
    measured = [[seconds_of(work) for work in works] for _ in range(runs)]
    return [median(column) for column in zip(*measured, strict=True)]


def _rounded(value: float | None) -> float | None:
    """Five significant digits, None for NaN."""
    return None if value is None or math.isnan(value) else float(f"{value:.5g}")
