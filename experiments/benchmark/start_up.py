"""Start-up: one film by `pneumoloc predict`, and `pneumoloc --help`, each in a new process."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from experiments.benchmark.films import benchmark_bundle, phantom_films
from experiments.benchmark.rows import BenchmarkRow, seconds_of
from experiments.benchmark.sizes import Bench

PREDICT_GOAL_S, HELP_GOAL_S = 3.5, 0.5


def start_up_rows(bench: Bench) -> Iterator[BenchmarkRow]:
    """Processor seconds of whole commands with one thread; a busy machine changes them little."""
    film = phantom_films(bench).film_paths()[0]
    out = bench.work / "one film"
    predict = ("predict", str(film), "--model", str(benchmark_bundle(bench)), "--out", str(out))
    for name, what, command, goal in (
        ("start_one_film", "`predict` of one film, start to end", predict, PREDICT_GOAL_S),
        ("start_help", "`--help`", ("--help",), HELP_GOAL_S),
    ):
        yield _row(name, what, command, goal, bench, out)


def _row(
    name: str, what: str, command: Sequence[str], goal: float, bench: Bench, out: Path
) -> BenchmarkRow:
    processor, wall = [], []
    for number in range(bench.runs + 1):
        shutil.rmtree(out, ignore_errors=True)
        before = _processor_seconds()
        seconds = seconds_of(lambda: _run(command))
        if number:  # the first run fills the system's cache of files
            processor.append(_processor_seconds() - before)
            wall.append(seconds)
    return BenchmarkRow(
        name=name,
        group="start",
        what=f"{what}; processor seconds, one thread",
        ours=median(processor),
        baseline=goal,
        baseline_is="the goal",
        goal="<= 1.00",
        unit="s",
        runs=bench.runs,
        detail={"wall s": median(wall)},
    )


def _run(command: Sequence[str]) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "pneumoloc", *command],
        check=True,
        capture_output=True,
        env=environment,
    )


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
