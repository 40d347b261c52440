"""`pneumoloc experiment covid`: boxes on COVID films, beside trivial controls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data_manifests.support.choices import DeviceName
from experiments.cli.options import Device, Out, Results, show_progress


def covid(
    data: Annotated[
        Path, typer.Option("--data", help="Folder of open films, see docs/experiments.md.")
    ],
    siim: Annotated[
        Path, typer.Option(help="Output folder of `table1 --preset siim`, with its detectors.")
    ],
    out: Out,
    results: Results = None,
    device: Device = DeviceName.AUTO,
) -> None:
    """Do detectors find the lesions of COVID films, and is it more than larger boxes?"""
    from detector.run.device import choose_device
    from experiments.core.covid_boxes import covid_boxes
    from experiments.data.masked_films import masked_films
    from experiments.tables.covid import covid_table, write_covid

    masked = masked_films(data)
    found = covid_boxes(
        masked, data, siim, out, device=choose_device(device), progress=show_progress
    )
    command = "pneumoloc experiment covid --data DATA --siim SIIM --out WORK"
    table = covid_table(masked, found)
    typer.echo(write_covid(table, masked, found, data, results or out, command))
