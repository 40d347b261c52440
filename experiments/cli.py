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
    seed: Annotated[
        list[int] | None, typer.Option(help="A phantom with its trainings; default 0 1 2 3 4.")
    ] = None,
    films_a: Annotated[int, typer.Option(min=20, help="Films with boxes, hospital A.")] = 300,
    films_b: Annotated[int, typer.Option(min=20, help="Films with reports, hospital B.")] = 400,
    detector_epochs: Annotated[int, typer.Option(min=1, help="Epochs of each detector.")] = 16,
) -> None:
    """Does text from hospital B move the boxes of a detector trained at hospital A?"""
    from experiments.controlled import ControlledResult, default_methods, run_controlled
    from experiments.controlled_report import write_controlled
    from localize.quickstart import QuickstartSize

    seeds = seed or list(range(5))
    size = QuickstartSize(films_a=films_a, films_b=films_b, detector_epochs=detector_epochs)
    for step in run_controlled(out, seeds=seeds, size=size, methods=default_methods()):
        if isinstance(step, ControlledResult):
            typer.echo(write_controlled(step, results or out, size=size, seeds=seeds))
        else:
            typer.echo(step, err=True)


@app.command()
def real(
    data: Annotated[Path, typer.Option("--data", help="Folder of open films; see the docs.")],
    reports: Annotated[
        Path, typer.Option("--reports", help="Reports for the word vectors: manifest or CSV.")
    ],
    backbone_weights: Annotated[
        Path, typer.Option("--backbone-weights", help="EfficientNet-lite0 ImageNet weights.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Work folder; finished parts are kept.")],
    results: Annotated[
        Path | None, typer.Option("--results", help="Also write real-run.json and .md here.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """RSNA boxes and COVID film-note pairs to a bundle, tested on full frames and COVID films."""
    from detector.device import choose_device
    from experiments.real_report import write_real
    from experiments.real_run import RealResult, run_real

    steps = run_real(
        data, reports, out, backbone_weights=backbone_weights, device=choose_device(device)
    )
    command = (
        "pneumoloc experiment real --data DATA --reports OPENI --backbone-weights LITE0 --out WORK"
    )
    for step in steps:
        if isinstance(step, RealResult):
            typer.echo(write_real(step, results or out, command=command))
        else:
            typer.echo(step, err=True)
