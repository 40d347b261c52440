"""`pneumoloc experiment benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def benchmark(
    results: Annotated[
        Path,
        typer.Option(
            "--results", "--out", help="Folder for benchmark.json, .md and plots; other rows stay."
        ),
    ],
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="A group: start, predict, onnx, int8, attention, gates, detector, scaling, rois, "
            "evaluate, attributes, check, export, export_1e6, large, volumes; default all."
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Measured runs; medians are reported.")] = 5,
    bundle: Annotated[
        Path | None, typer.Option(help="A model bundle; default: random weights, ResNet-50.")
    ] = None,
    reports: Annotated[
        Path | None, typer.Option(help="Manifest or CSV of reports; default: the phantom's.")
    ] = None,
    large: Annotated[int, typer.Option(min=1, help="Films of the group large.")] = 1_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the new rows as JSON.")] = False,
) -> None:
    """Time and memory beside a baseline, measured in turn; twenty minutes on two idle cores."""
    import json

    from data_manifests.support.temporary import temporary_folder
    from experiments.benchmark.report import write_benchmark
    from experiments.benchmark.rows import BenchmarkRow
    from experiments.benchmark.run import choose_groups, run_benchmark
    from experiments.benchmark.sizes import Bench, BenchmarkSize

    groups = choose_groups(only or [])
    with temporary_folder("pneumoloc-benchmark") as work:
        bench = Bench(
            Path(work), BenchmarkSize(large=large), repeats, bundle=bundle, reports=reports
        )
        rows: list[BenchmarkRow] = []
        text = ""
        for row in run_benchmark(bench, groups):
            ratio = "" if row.ratio is None else f", ratio {row.ratio:.3g} ({row.ratio_is})"
            typer.echo(f"{row.name}: {row.ours:.4g} {row.unit}{ratio}", err=True)
            rows.append(row)
            # Written each time: a group that fails takes no other one with it.
            text = write_benchmark(rows, results)
    typer.echo(json.dumps([row.as_json() for row in rows]) if as_json else text)
