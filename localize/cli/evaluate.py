"""`pneumoloc evaluate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from data_manifests.support.choices import LeakName
from localize.cli.shared import Json, ManifestFolder, Split


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
    score_threshold: Annotated[
        float,
        typer.Option(min=0, max=1, help="Boxes from this score count for RSNA score, IoBB, AFP."),
    ] = 0.0,
    baseline_score_threshold: Annotated[
        float, typer.Option(min=0, max=1, help="The same for the baseline.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    replicates: Annotated[int, typer.Option(min=100, help="Of the bootstrap.")] = 1000,
    as_json: Json = False,
) -> None:
    """Compare a prediction with true boxes and labels; intervals by a bootstrap over patients."""
    from data_manifests.support.atomic import write_text
    from data_manifests.support.csv_file import read_text_csv
    from data_manifests.support.freed_memory import freed_memory_returned, return_freed_memory
    from data_manifests.tables.leaks import refuse_overlap_leaks
    from data_manifests.tables.manifest import read_manifest
    from localize.evaluation.evaluate import EvaluationOptions, bootstrap_films, measure_films
    from localize.evaluation.paired_films import NOT_PAIRED, pair_films, true_films
    from localize.prediction.prediction_folder import open_prediction

    with freed_memory_returned():
        tables = ("images", "boxes", "labels")
        tested = read_manifest(manifest, tables=tables, without=NOT_PAIRED)
        if split:
            tested = tested.split(split)
        if trained_on is not None:
            training = read_manifest(trained_on, tables=("images",)).split("train")
            refuse_overlap_leaks(training, tested, allow=allow_leak or ())
        ids = tested.images[["image_id", *(["study_id"] if targets is not None else [])]]
        tested = replace(tested, images=tested.images[["image_id", "patient_id"]])
        truth = true_films(tested)
        del tested  # tables take memory beside the prediction
        films = pair_films(
            open_prediction(prediction),
            ids,
            truth,
            baseline=None if baseline is None else open_prediction(baseline),
            targets=None if targets is None else read_text_csv(targets),
        )
        del ids, truth
        return_freed_memory()
        measured = measure_films(
            films, EvaluationOptions(score_threshold, baseline_score_threshold)
        )
        del films
    return_freed_memory()
    result = bootstrap_films(measured, seed=seed, replicates=replicates)
    if out is not None:
        write_text(out / "evaluation.json", result.to_json())
        write_text(out / "evaluation.md", result.to_markdown())
    typer.echo(result.to_json() if as_json else result.to_markdown())
