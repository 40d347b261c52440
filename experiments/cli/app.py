"""`pneumoloc experiment`: commands that measure, and write their results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data_manifests.support.choices import DeviceName
from experiments.cli import boxes, lungs, siim
from experiments.cli.benchmark import benchmark
from experiments.cli.covid import covid
from experiments.cli.grounding import grounding
from experiments.cli.options import Device, Out, Results
from experiments.cli.phantom import ablation, attention, controlled, corrections, curves, detectors
from experiments.cli.tables import figures, pages, table1, table2
from experiments.cli.volumes import volumes

app = typer.Typer(
    help="Tables, figures, ablations and benchmarks, with their controls.", no_args_is_help=True
)


@app.callback()
def _experiment() -> None:
    """Keeps every experiment a subcommand."""


for command in (
    table1,
    table2,
    attention,
    controlled,
    detectors,
    ablation,
    curves,
    figures,
    corrections,
    benchmark,
    grounding,
    pages,
    volumes,
    covid,
):
    app.command()(command)

app.add_typer(boxes.app, name="boxes")
app.add_typer(lungs.app, name="lungs")
app.add_typer(siim.app, name="siim")


@app.command()
def package_bundle(
    data: Annotated[Path, typer.Option("--data", help="Folder of open films; see the docs.")],
    reports: Annotated[Path, typer.Option("--reports", help="As for table1.")],
    out: Out,
    bundle: Annotated[
        Path | None,
        typer.Option(help="Bundle folder to write; an existing one is only evaluated."),
    ] = None,
    results: Results = None,
    device: Device = DeviceName.AUTO,
) -> None:
    """Pack a finished `table1 --preset open` into the shipped bundle; write its model card."""
    from detector.run.device import choose_device
    from experiments.core.package_bundle import package_bundle as pack
    from experiments.tables.bundle_results import evaluate_bundle
    from experiments.tables.model_card import write_model_card
    from localize.bundle.packaged import FIRST_BUNDLE

    chosen, folder = choose_device(device), bundle or FIRST_BUNDLE
    if not folder.exists():
        pack(data, reports, out, folder, chosen)
    result = evaluate_bundle(data, reports, out, folder, chosen)
    cards = results or out
    typer.echo(write_model_card(result, cards, cards.parent / "images", folder))
