"""Top-level commands: predict, evaluate, export, import-boxes, gallery, severity, localize, bundle,
quickstart."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data_manifests.support.choices import LeakName
from localize.cli.formats import register as register_formats
from localize.cli.model import bundle_app, localize_app
from localize.cli.predict import predict
from localize.cli.severity import severity_app
from localize.cli.shared import NOTICE, Json, ManifestFolder, Split
from localize.cli.viewing import register_looking


def register(app: typer.Typer) -> None:
    """Add the commands of this package to the root command."""
    app.command()(predict)
    app.command()(evaluate)
    register_formats(app)
    app.command()(gallery)
    register_looking(app)
    app.add_typer(severity_app, name="severity")
    app.add_typer(localize_app, name="localize")
    app.add_typer(bundle_app, name="bundle")
    app.command()(demo)
    app.command()(quickstart)


def evaluate(
    prediction: Annotated[Path, typer.Argument(help="Folder written by `pneumoloc predict`.")],
    manifest: ManifestFolder,
    split: Split = "",
    baseline: Annotated[
        Path | None, typer.Option(help="A second prediction of the same films, for differences.")
    ] = None,
    targets: Annotated[
        Path | None, typer.Option(help="attributes.csv of `attributes mine`, for the attributes.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Also write evaluation.json and .md here.")
    ] = None,
    trained_on: Annotated[
        Path | None, typer.Option(help="Manifest of the training: refuse shared patients.")
    ] = None,
    allow_leak: Annotated[
        list[LeakName] | None, typer.Option(help="A leak to accept; may repeat.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    replicates: Annotated[int, typer.Option(min=100, help="Of the bootstrap.")] = 1000,
    as_json: Json = False,
) -> None:
    """Metrics of a prediction against true boxes and labels, with patient-bootstrap intervals."""
    from data_manifests.support.atomic import write_text
    from data_manifests.support.csv_file import read_text_csv
    from data_manifests.tables.leaks import refuse_overlap_leaks
    from data_manifests.tables.manifest import read_manifest
    from localize.evaluation.evaluate import evaluate as evaluate_prediction
    from localize.prediction.tables import read_prediction

    truth = read_manifest(manifest)
    if split:
        truth = truth.split(split)
    if trained_on is not None:
        training = read_manifest(trained_on).split("train")
        refuse_overlap_leaks(training, truth, allow=allow_leak or ())
    result = evaluate_prediction(
        read_prediction(prediction),
        truth,
        seed=seed,
        replicates=replicates,
        baseline=None if baseline is None else read_prediction(baseline),
        targets=None if targets is None else read_text_csv(targets),
    )
    if out is not None:
        write_text(out / "evaluation.json", result.to_json())
        write_text(out / "evaluation.md", result.to_markdown())
    typer.echo(result.to_json() if as_json else result.to_markdown())


def gallery(
    prediction: Annotated[Path, typer.Argument(help="Folder written by `pneumoloc predict`.")],
    films: Annotated[
        Path, typer.Option(help="Manifest (its boxes are the true ones), or folder of the films.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="HTML file; default PREDICTION/gallery.html.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many films.")] = 500,
) -> None:
    """A self-contained page of films with boxes, true boxes, attributes and severity."""
    from data_manifests.tables.manifest import read_manifest
    from localize.inference.film_list import film_files, is_manifest
    from localize.prediction.tables import read_prediction
    from localize.viewing.gallery.build import build_gallery

    target = out or prediction / "gallery.html"
    build_gallery(
        read_prediction(prediction),
        film_files(films),
        target,
        manifest=read_manifest(films) if is_manifest(films) else None,
        limit=limit,
    )
    typer.echo(str(target))


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder to fill.")] = Path("demo"),
) -> None:
    """The package's own weights on five example films: boxes, page, exports, in a minute."""
    from localize.pipeline.demo import run_demo

    typer.echo(NOTICE, err=True)
    for line in run_demo(out):
        typer.echo(line)


def quickstart(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything.")] = Path("quickstart"),
    seed: Annotated[int, typer.Option(help="Of the phantom and both trainings.")] = 0,
) -> None:
    """The whole road on phantom films: both trainings, prediction, evaluation, exports, gallery."""
    from localize.pipeline.quickstart import run_quickstart

    for line in run_quickstart(out, seed=seed):
        typer.echo(line)
