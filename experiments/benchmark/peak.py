"""`in_process`, `of_command`: work in a new process, with its seconds and peak memory."""

from __future__ import annotations

import json
import math
import multiprocessing
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import process_time

from experiments.benchmark.rows import seconds_of

STATUS = Path("/proc/self/status")
MIB = 1024.0
# A small process in between: a child's maximum begins with the memory of the one that forks it.
LAUNCHER = """
import json, os, sys, time
start = time.perf_counter()
child = os.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(child, 0)
used = usage.ru_utime + usage.ru_stime
print(json.dumps([time.perf_counter() - start, used, usage.ru_maxrss]), flush=True)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True)
class Cost:
    """Median wall seconds; peak resident memory of the process and of its imports alone, in MiB.

    Processor seconds are those of all threads. Memory is NaN where the system does not report it.
    """

    seconds: float
    peak_mib: float
    imports_mib: float
    processor_seconds: float


def in_process(work: Callable[[], object], runs: int) -> Cost:
    """Do `work` (a picklable call) `runs` times in one new process.

    Without an unmeasured round: these take long, and the median ignores a slow first one.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(partial(_measure, work, runs))


def of_command(arguments: Sequence[str], runs: int) -> Cost:
    """Run `pneumoloc` with these arguments, start and imports included; `imports_mib` is NaN.

    Raises:
        CalledProcessError: the command failed.
    """
    measured = [
        json.loads(
            subprocess.run(  # noqa: S603 - our own command
                [sys.executable, "-c", LAUNCHER, sys.executable, "-m", "pneumoloc", *arguments],
                check=True,
                capture_output=True,
                text=True,
            ).stdout.splitlines()[-1]
        )
        for _ in range(runs)
    ]
    seconds, used, kib = zip(*measured, strict=True)
    return Cost(median(seconds), max(kib) / MIB, math.nan, median(used))


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
    used = []
    seconds = []
    for _ in range(runs):
        before = process_time()
        seconds.append(seconds_of(work))
        used.append(process_time() - before)
    return Cost(median(seconds), peak_mib(), imports_mib, median(used))
