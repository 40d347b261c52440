"""Whole commands on tables of many films, as parquet: processor seconds and peak memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from data_manifests.support.csv_file import read_text_csv
from data_manifests.tables.columns import CORNERS
from experiments.benchmark.peak import of_command
from experiments.benchmark.rows import BenchmarkRow
from experiments.benchmark.sizes import Bench
from experiments.benchmark.tables import write_random_manifest, write_random_prediction

PEAK_GOAL_MIB = 400.0  # of a million films
REPLICATES = 100


def large_table_rows(bench: Bench) -> Iterator[BenchmarkRow]:
    """`manifest check`, `manifest split` and `evaluate` of random tables, each once.

    Films have a box each, predicted exactly: every box matches, which takes the most memory.
    """
    for films in bench.size.large:
        manifest, prediction = bench.work / f"films-{films}", bench.work / f"predicted-{films}"
        write_random_manifest(manifest, films)
        write_random_prediction(prediction, films)
        for path in manifest.glob("*.csv"):
            numbers = dict.fromkeys(("width", "height", *CORNERS), "float64")
            _pack(path, numbers)
        out = str(bench.work / "split")
        commands = {
            "check": ["manifest", "check", str(manifest), "--no-films"],
            "split": ["manifest", "split", str(manifest), "--replace-split", "--out", out],
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
                what=f"`{' '.join(command[: 1 if name == 'evaluate' else 2])}`, {films} films with "
                f"a box each, parquet{_and(name)}; processor seconds",
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


def _and(name: str) -> str:
    return f", {REPLICATES} resamples" if name == "evaluate" else ""


def _pack(path: Path, numbers: dict[str, str]) -> None:
    """Replace a CSV by parquet, as the toolkit writes tables of this size."""
    table = read_text_csv(path)
    kinds = {name: kind for name, kind in numbers.items() if name in table}
    table.astype(kinds).to_parquet(path.with_suffix(".parquet"), index=False)
    path.unlink()
