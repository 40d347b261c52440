"""Top-level commands: predict, evaluate, export, import-boxes, gallery, severity, localize, bundle,
quickstart."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from localize.bundle.shipped import SHIPPED_BUNDLE
from localize.cli.formats import register as register_formats
from localize.cli.model import bundle_app, localize_app
from localize.cli.severity import severity_app
from localize.cli.viewing import register_looking

Manifest_ = Annotated[Path, typer.Option("--manifest", help="Manifest folder.")]
Split = Annotated[str, typer.Option(help="Only this split: train, val, test; default all films.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


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


def predict(
    films: Annotated[
        list[Path],
        typer.Argument(help="Films (PNG, JPEG, DICOM), folders of films, or a manifest."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the prediction.")],
    model: Annotated[
        Path,
        typer.Option("--model", help="Model bundle.  [default: the package's]", show_default=False),
    ] = SHIPPED_BUNDLE,
    split: Split = "",
    max_boxes: Annotated[int, typer.Option(min=1, help="Boxes per film.")] = 10,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Leave out boxes below.")] = 0.0,
    ranking: Annotated[
        str, typer.Option(help="localizer, or detector: RetinaNet alone, the baseline.")
    ] = "localizer",
    on_error: Annotated[str, typer.Option(help="An unreadable film: fail or skip.")] = "fail",
    batch_size: Annotated[int, typer.Option(min=1, help="Films at a time.")] = 8,
    device: Device = "auto",
    engine: Annotated[
        str, typer.Option(help="torch; onnx: faster on some CPUs; ray: a cluster.")
    ] = "torch",
    precision: Annotated[
        str,
        typer.Option(
            help="float32, or bfloat16: faster where the CPU has it; boxes move a little."
        ),
    ] = "float32",
    shard: Annotated[
        str, typer.Option(help="This process's share i/n, for example 0/4; the last one joins.")
    ] = "0/1",
    ray_actors: Annotated[
        int, typer.Option(min=1, help="With --engine ray: processes that hold the model.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Boxes, attributes and severity of films, from the films alone.

    The same command again goes on where an interrupted one was.
    """
    import json
    from functools import partial

    from data_manifests.support.errors import ConfigError
    from detector.propose import parse_shard
    from detector.run.device import choose_device
    from localize.bundle.bundle import load_bundle
    from localize.prediction.inputs import films_to_predict
    from localize.prediction.predict_films import PredictOptions, choose_ranking
    from localize.prediction.write_folder import predict_folder

    share = parse_shard(shard)
    options = PredictOptions(
        max_boxes=max_boxes,
        min_score=min_score,
        skip_errors=is_skip(on_error),
        ranking=choose_ranking(ranking),
        batch_size=batch_size,
        engine=engine,  # type: ignore[arg-type] # checked by the options themselves
        precision=precision,  # type: ignore[arg-type] # the same
    )
    chosen = films_to_predict(films, split)
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: expected a folder, got a file")
    if out.resolve() in (path.resolve() for path in films):
        raise ConfigError(f"--out {out}: expected a folder of its own, got that of the films")
    bundle = load_bundle(model)
    blocks_of = None
    if engine == "ray":
        from localize.prediction.ray_engine import ray_blocks

        blocks_of = ray_blocks(model, options, device, actors=ray_actors)
    typer.echo("Research use only: not a medical device.", err=True)
    report = predict_folder(
        bundle,
        chosen,
        out,
        options,
        choose_device(device),
        shard=share,
        blocks_of=blocks_of,
        tell=partial(typer.echo, err=True),
    )
    if as_json:
        counts = {
            "predicted": report.predicted,
            "skipped": report.skipped,
            "boxes": report.boxes,
            "already_done": report.already_done,
        }
        typer.echo(json.dumps({"out": str(out), **counts}))
    else:
        there = f" ({report.already_done} were there)" if report.already_done else ""
        typer.echo(
            f"{report.predicted} films predicted{there}, {report.skipped} skipped, "
            f"{report.boxes} boxes: {out}"
        )


def evaluate(
    prediction: Annotated[Path, typer.Argument(help="Folder written by `pneumoloc predict`.")],
    manifest: Manifest_,
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
        list[str] | None, typer.Option(help="A leak to accept by name, for example nih-rsna.")
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
    from localize.prediction.inputs import film_source, is_manifest
    from localize.prediction.tables import read_prediction
    from localize.viewing.gallery.build import build_gallery

    target = out or prediction / "gallery.html"
    build_gallery(
        read_prediction(prediction),
        film_source(films),
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

    typer.echo("Research use only: not a medical device.", err=True)
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


def is_skip(on_error: str) -> bool:
    """`--on-error`: whether to go on. Raises ConfigError for another word."""
    from data_manifests.support.errors import ConfigError

    if on_error not in ("fail", "skip"):
        raise ConfigError(f"--on-error: expected fail or skip, got {on_error!r}")
    return on_error == "skip"
