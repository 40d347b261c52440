"""`pneumoloc severity`: fit, score, evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

severity_app = typer.Typer(
    help="A severity score of films, fitted on experts' scores.", no_args_is_help=True
)
PredictionArgument = Annotated[Path, typer.Argument(help="Folder written by `pneumoloc predict`.")]
Column = Annotated[str, typer.Option(help="Column of labels.csv with the experts' score.")]
Manifest_ = Annotated[Path, typer.Option("--manifest", help="Manifest folder with labels.csv.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@severity_app.command()
def fit(
    prediction: PredictionArgument,
    manifest: Manifest_,
    out: Annotated[Path, typer.Option("--out", help="severity.json to write.")],
    column: Column = "severity",
) -> None:
    """Fit the severity model on the scored films of a prediction."""
    from data_manifests.tables.manifest import read_manifest
    from localize.prediction.tables import read_prediction
    from localize.severity.fit import fit_severity
    from localize.severity.model import write_severity

    model = fit_severity(read_prediction(prediction), read_manifest(manifest), column=column)
    write_severity(model, out)
    typer.echo(
        f"{out}: {model.films} films, scores {model.low:g} to {model.high:g}, "
        f"90 % interval +/- {model.residual:.2f}"
    )


@severity_app.command()
def score(
    prediction: PredictionArgument,
    model: Annotated[Path, typer.Option("--model", help="severity.json of `severity fit`.")],
    out: Annotated[Path, typer.Option("--out", help="CSV to write.")],
) -> None:
    """Severity of every film of a prediction, with its 90 % interval."""
    from data_manifests.support.csv_file import write_csv
    from localize.prediction.tables import read_prediction
    from localize.severity.fit import severity_table
    from localize.severity.model import read_severity

    table = severity_table(read_prediction(prediction), read_severity(model))
    write_csv(out, table)
    typer.echo(f"{out}: {len(table)} films")


@severity_app.command()
def evaluate(
    prediction: PredictionArgument,
    manifest: Manifest_,
    column: Column = "severity",
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    as_json: Json = False,
) -> None:
    """Agreement with the experts' scores, five folds grouped by patient (the paper's table 2)."""
    import json
    from dataclasses import asdict

    from data_manifests.tables.manifest import read_manifest
    from localize.prediction.tables import read_prediction
    from localize.severity.agreement import evaluate_severity

    rows = evaluate_severity(
        read_prediction(prediction), read_manifest(manifest), column=column, seed=seed
    )
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    typer.echo("score         films  Pearson r [95 %]        Spearman     R2    MAE    MSE")
    for row in rows:
        interval = f"{_number(row.pearson)} [{_number(row.low)}, {_number(row.high)}]"
        typer.echo(
            f"{row.score:<13} {row.films:>5}  {interval:<23} {_number(row.spearman):>8} "
            f"{_number(row.r2):>6} {_number(row.mae):>6} {_number(row.mse):>6}"
        )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
