"""`pneumoloc experiment`: commands that measure, and write what they measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.cli import boxes
from experiments.cli.benchmark import benchmark
from experiments.cli.paper import figures, table1, table2
from experiments.cli.phantom import ablation, controlled, curves

app = typer.Typer(help="Measurements: the method under control.", no_args_is_help=True)


@app.callback()
def _experiment() -> None:
    """Keeps every experiment a subcommand."""


for command in (table1, table2, controlled, ablation, curves, figures, benchmark):
    app.command()(command)

app.add_typer(boxes.app, name="boxes")


@app.command()
def corrections(
    out: Annotated[Path, typer.Option("--out", help="Work folder; finished parts are kept.")],
    quickstart: Annotated[
        list[Path] | None,
        typer.Option(help="A finished quickstart whose model is corrected; default: make one."),
    ] = None,
    results: Annotated[
        Path | None, typer.Option("--results", help="Also write corrections.json and .md here.")
    ] = None,
    films_review: Annotated[int, typer.Option(min=10, help="Films of B to correct.")] = 240,
    films_test: Annotated[int, typer.Option(min=10, help="Films of B to test on.")] = 400,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of each detector's tuning.")] = 4,
) -> None:
    """Predict, correct, train again: what do an annotator's corrections at hospital B gain?"""
    from experiments.data.annotator import AnnotatorHabits
    from experiments.tables.corrections import CorrectionsResult, CorrectionsSize, run_corrections
    from experiments.tables.corrections_report import write_corrections
    from localize.pipeline.quickstart import run_quickstart

    if not quickstart:
        quickstart = [out / "quickstart"]
        for line in run_quickstart(quickstart[0], seed=0):
            typer.echo(line, err=True)
    habits = AnnotatorHabits()
    size = CorrectionsSize(films_review=films_review, films_test=films_test, epochs=epochs)
    for step in run_corrections(quickstart, out, size=size, habits=habits):
        if isinstance(step, CorrectionsResult):
            models = len(quickstart)
            typer.echo(write_corrections(step, results or out, size, habits, models=models))
        else:
            typer.echo(step, err=True)


@app.command()
def ship(
    data: Annotated[Path, typer.Option("--data", help="Folder of open films; see the docs.")],
    reports: Annotated[Path, typer.Option("--reports", help="As for table1.")],
    out: Annotated[Path, typer.Option("--out", help="Work folder of `table1 --preset open`.")],
    bundle: Annotated[
        Path | None, typer.Option(help="Bundle folder to write; one that is there is only judged.")
    ] = None,
    results: Annotated[Path | None, typer.Option(help="For the model card; default: OUT.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Pack a finished open run into the package's bundle and write its model card."""
    from detector.run.device import choose_device
    from experiments.core.ship import judge_bundle, ship_bundle
    from experiments.tables.model_card import write_model_card
    from localize.bundle.packaged import PACKAGED_BUNDLE

    chosen, folder = choose_device(device), bundle or PACKAGED_BUNDLE
    if not folder.exists():
        ship_bundle(data, reports, out, folder, chosen)
    result = judge_bundle(data, reports, out, folder, chosen)
    place = results or out
    typer.echo(write_model_card(result, place, place.parent / "images", folder))
