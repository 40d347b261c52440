"""`pneumoloc experiment`: commands that measure, and write what they measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Measurements: the method under control.", no_args_is_help=True)


@app.callback()
def _experiment() -> None:
    """Keeps every experiment a subcommand."""


@app.command()
def controlled(
    out: Annotated[Path, typer.Option("--out", help="Work folder; finished parts are kept.")],
    results: Annotated[
        Path | None, typer.Option("--results", help="Also write controlled.json and .md here.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Phantoms, detectors, localizers.")] = 5,
    films_a: Annotated[int, typer.Option(min=20, help="Films with boxes, hospital A.")] = 300,
    films_b: Annotated[int, typer.Option(min=20, help="Films with reports, hospital B.")] = 400,
    detector_epochs: Annotated[int, typer.Option(min=1, help="Epochs of each detector.")] = 16,
) -> None:
    """Does text from hospital B move the boxes of a detector trained at hospital A?"""
    from experiments.controlled import ControlledResult, default_methods, run_controlled
    from experiments.controlled_report import write_controlled
    from localize.quickstart import QuickstartSize

    size = QuickstartSize(films_a=films_a, films_b=films_b, detector_epochs=detector_epochs)
    for step in run_controlled(out, seeds=range(seeds), size=size, methods=default_methods()):
        if isinstance(step, ControlledResult):
            typer.echo(write_controlled(step, results or out, size=size, seeds=seeds))
        else:
            typer.echo(step, err=True)
