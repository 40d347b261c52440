"""All top-level commands of this package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from localize.cli.bundle import bundle_app
from localize.cli.evaluate import evaluate
from localize.cli.formats import register as register_formats
from localize.cli.ground import ground
from localize.cli.lungs import lungs
from localize.cli.predict import predict
from localize.cli.severity import severity_app
from localize.cli.shared import NOTICE
from localize.cli.train import localize_app
from localize.cli.viewing import drafts, gallery, view
from localize.cli.volumes import volumes_app


def register(app: typer.Typer) -> None:
    """Add the commands of this package to the root command."""
    app.command()(predict)
    app.command()(ground)
    app.command()(lungs)
    app.command()(evaluate)
    register_formats(app)
    for command in (gallery, view, drafts):
        app.command()(command)
    app.add_typer(severity_app, name="severity")
    app.add_typer(localize_app, name="localize")
    app.add_typer(bundle_app, name="bundle")
    app.add_typer(volumes_app, name="volumes")
    app.command()(demo)
    app.command()(quickstart)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder to fill.")] = Path("demo"),
) -> None:
    """Predict the five example films: boxes, a page to look at, exports."""
    from localize.pipeline.demo import run_demo

    typer.echo(NOTICE, err=True)
    for line in run_demo(out):
        typer.echo(line)


def quickstart(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything.")] = Path("quickstart"),
    seed: Annotated[int, typer.Option(help="Of the phantom and both trainings.")] = 0,
) -> None:
    """Train both models on phantom films, then predict, evaluate and export."""
    from localize.pipeline.quickstart import run_quickstart

    for line in run_quickstart(out, seed=seed):
        typer.echo(line)
