"""`pneumoloc experiment volumes`: the ablation of the volumes' grounding on phantom volumes."""

from __future__ import annotations

from typing import Annotated

import typer

from data_manifests.support.choices import DeviceName
from experiments.cli.options import Device, Out, Results, Seeds, show_progress


def volumes(
    out: Out,
    results: Results = None,
    seed: Seeds = None,
    count: Annotated[int, typer.Option("--volumes", min=10, help="Phantom volumes.")] = 260,
    epochs: Annotated[int, typer.Option(min=1, help="Of each training.")] = 10,
    device: Device = DeviceName.AUTO,
) -> None:
    """Do organ labels and structured reports help to ground reports in volumes (Ichinose 2023)?"""
    from detector.run.device import choose_device
    from experiments.tables.volumes import run_rows, volumes_table, write_volumes

    seeds = seed or [0, 1, 2]
    rows = run_rows(
        out, seeds, volumes=count, epochs=epochs, device=choose_device(device),
        progress=show_progress,
    )  # fmt: skip
    command = f"pneumoloc experiment volumes --out WORK --volumes {count} --epochs {epochs}"
    table = volumes_table(rows, out, command=command, volumes=count, epochs=epochs)
    typer.echo(str(write_volumes(table, results or out)))
