"""`pneumoloc experiment lungs`: train, pack and measure the package's lung network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data_manifests.support.choices import DeviceName
from experiments.cli.options import Device, Out, Results

app = typer.Typer(help="The package's lung network: train, pack, measure.", no_args_is_help=True)
Data = Annotated[Path, typer.Option("--data", help="Folder of open films; see the docs.")]


@app.command()
def train(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Run folder; an unfinished run goes on.")],
    device: Device = DeviceName.AUTO,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Setting, such as steps=600.")
    ] = None,
) -> None:
    """Train on films with masks; minutes on one CPU core."""
    from detector.run.device import choose_device
    from experiments.lungs.training import train_lung_network

    scores = train_lung_network(data, out, set_ or (), choose_device(device))
    typer.echo(
        f"validation Dice: right lung {scores.dice_right:.3f}, left lung {scores.dice_left:.3f}, "
        f"heart {scores.dice_heart:.3f}: {out}"
    )


@app.command()
def pack(
    run: Annotated[Path, typer.Option("--run", help="Finished run folder.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the half-precision weights.")],
) -> None:
    """Write a run's weights in half precision, with checksum and golden film."""
    from detector.lungs.packaged import pack_lungs

    typer.echo(str(pack_lungs(run, out)))


@app.command()
def evaluate(
    data: Data,
    results: Annotated[Path, typer.Option("--results", help="Folder for lungs.json, lungs.md.")],
    device: Device = DeviceName.AUTO,
) -> None:
    """Measure the package's lung network on held-out patients and spoilt films."""
    from detector.run.device import choose_device
    from experiments.lungs.results import evaluate_lungs, write_lung_results

    found = evaluate_lungs(data, choose_device(device))
    typer.echo(write_lung_results(found, data, results))


@app.command()
def uses(data: Data, out: Out, results: Results = None, device: Device = DeviceName.AUTO) -> None:
    """Measure what lung fields gain: words of place, zones, severity, box scores."""
    from detector.run.device import choose_device
    from experiments.lungs.uses_results import evaluate_uses, write_use_results

    found = evaluate_uses(data, out, choose_device(device))
    typer.echo(write_use_results(found, data, results or out))
