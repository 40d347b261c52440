"""Whole commands on tables of many films, as parquet: processor seconds and peak memory."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.benchmark.peak import of_command
from experiments.benchmark.random_tables import write_large_manifest, write_large_prediction
from experiments.benchmark.rows import BenchmarkRow
from experiments.benchmark.sizes import Bench

PEAK_GOAL_MIB = 400.0  # of a million films
REPLICATES = 100
WHAT = {
    "check": "`manifest check`",
    "split": "`manifest split`",
    "export": "`export --format coco`",
    "evaluate": f"`evaluate`, {REPLICATES} resamples",
}


def large_table_rows(bench: Bench) -> Iterator[BenchmarkRow]:
    """`manifest check`, `manifest split`, `export` and `evaluate` of random tables, each once.

    Films have a box each, predicted exactly: every box matches, which takes the most memory.
    """
    films = bench.size.large
    manifest, prediction = bench.work / f"films-{films}", bench.work / f"predicted-{films}"
    write_large_manifest(manifest, films)
    write_large_prediction(prediction, films)
    split, boxes = str(bench.work / "split"), str(bench.work / "boxes.json")
    commands = {
        "check": ["manifest", "check", str(manifest), "--no-films"],
        "split": ["manifest", "split", str(manifest), "--replace-split", "--out", split],
        "export": ["export", str(prediction), "--format", "coco", "--out", boxes],
        "evaluate": [
            *("evaluate", str(prediction), "--manifest", str(manifest)),
            *("--replicates", str(REPLICATES)),
        ],
    }
    for name, command in commands.items():
        cost = of_command(command, 1)
        yield BenchmarkRow(
            name=f"{name}_{films}",
            group="large",
            what=f"{WHAT[name]}, {films} films with a box each, parquet; processor seconds",
            ours=cost.processor_seconds,
            unit="s",
            runs=1,
            detail={
                "films": films,
                "peak_mib": cost.peak_mib,
                "wall_s": cost.seconds,
                **({"peak_goal_mib": PEAK_GOAL_MIB} if films == 1_000_000 else {}),
            },
        )
