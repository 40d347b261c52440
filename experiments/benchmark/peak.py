"""`in_process`: work in a new process, with its seconds and peak memory."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from experiments.benchmark.rows import seconds_of

STATUS = Path("/proc/self/status")
MIB = 1024.0


@dataclass(frozen=True)
class Cost:
    """Median wall seconds; peak resident memory of the process and of its imports alone, in MiB.

    Memory is NaN where the system does not report it.
    """

    seconds: float
    peak_mib: float
    imports_mib: float


def in_process(work: Callable[[], object], runs: int) -> Cost:
    """Do `work` (a picklable call) `runs` times in one new process.

    Without an unmeasured round: these take long, and the median ignores a slow first one.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(partial(_measure, work, runs))


def peak_mib() -> float:
    """The highest resident memory of this process so far."""
    try:
        for line in STATUS.read_text("ascii").splitlines():
            # Not getrusage: its maximum survives exec and would include the parent's.
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / MIB
    except OSError:
        pass
    return float("nan")


def _measure(work: Callable[[], object], runs: int) -> Cost:
    imports_mib = peak_mib()  # what the call needs was imported when it was unpickled
    seconds = [seconds_of(work) for _ in range(runs)]
    return Cost(median(seconds), peak_mib(), imports_mib)
