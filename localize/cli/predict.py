"""`pneumoloc predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from localize.bundle.packaged import PACKAGED_BUNDLE
from localize.cli.shared import NOTICE, Device, Json, Split
from localize.inference.choices import Engine, Precision, Ranking

FILES_CHECKED_FIRST = 100  # their headers; all films are checked when they are read


def predict(
    films: Annotated[
        list[Path],
        typer.Argument(help="Films (PNG, JPEG, DICOM), folders of films, or a manifest."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the prediction.")],
    model: Annotated[
        Path,
        typer.Option("--model", help="Model bundle.", show_default="the package's bundle"),
    ] = PACKAGED_BUNDLE,
    split: Split = "",
    max_boxes: Annotated[int, typer.Option(min=1, help="Boxes per film.")] = 10,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Leave out boxes below.")] = 0.0,
    ranking: Annotated[
        Ranking, typer.Option(help="Order of the boxes; detector: RetinaNet alone, the baseline.")
    ] = "localizer",
    prevalence: Annotated[
        float | None,
        typer.Option(
            help="Share of your films that show an opacity, such as 0.1, for P(pneumonia).",
            show_default="that of the model",
        ),
    ] = None,
    on_error: Annotated[
        Literal["fail", "skip"], typer.Option(help="What an unreadable film does.")
    ] = "fail",
    batch_size: Annotated[int, typer.Option(min=1, help="Films at a time.")] = 8,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Do not compare films with the manifest's sha256.")
    ] = False,
    zones: Annotated[
        bool,
        typer.Option("--zones", help="Also zones.csv: how much of each lung zone boxes cover."),
    ] = False,
    device: Device = "auto",
    engine: Annotated[
        Engine, typer.Option(help="onnx: faster on some CPUs; ray: a cluster.")
    ] = "torch",
    precision: Annotated[
        Precision,
        typer.Option(help="bfloat16: faster where the processor has it; boxes move a little."),
    ] = "float32",
    shard: Annotated[
        str,
        typer.Option(help="This process's share i/n, such as 0/4; the last one joins the shares."),
    ] = "0/1",
    ray_actors: Annotated[
        int, typer.Option(min=1, help="With --engine ray: processes that hold the model.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Predict boxes, attributes and severity of films, from the films alone.

    The same command resumes an interrupted run.
    """
    import json
    from functools import partial

    from data_manifests.films.read_film import film_size
    from data_manifests.support.errors import ConfigError
    from localize.bundle.prevalence import check_prevalence
    from localize.inference.film_list import films_to_predict

    # Checked before torch is imported, which takes seconds.
    if prevalence is not None:
        check_prevalence(prevalence, name="--prevalence")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: expected a folder, got a file")
    if out.resolve() in (path.resolve() for path in films):
        raise ConfigError(f"--out {out}: expected a folder of its own, got that of the films")
    if zones and shard != "0/1":
        raise ConfigError("--zones: expected all films in one process, got --shard; leave out one")
    listed = films_to_predict(films, split)
    if on_error == "fail":
        for path in [path for path in films if path.is_file()][:FILES_CHECKED_FIRST]:
            film_size(path)

    if engine == "torch":
        from detector.run.quick_torch import import_torch

        import_torch()
    from detector.propose import parse_shard
    from detector.run.device import choose_device
    from localize.bundle.bundle import load_bundle
    from localize.inference.model import Model
    from localize.inference.options import PredictOptions
    from localize.inference.predict_folder import predict_folder

    share = parse_shard(shard)
    options = PredictOptions(
        max_boxes=max_boxes,
        min_score=min_score,
        skip_errors=on_error == "skip",
        ranking=ranking,
        batch_size=batch_size,
        engine=engine,
        precision=precision,
        verify=not no_verify,
        prevalence=prevalence,
    )
    loaded = Model(load_bundle(model), options, choose_device(device))
    source = None
    if engine == "ray":
        from localize.inference.ray_engine import ray_source

        source = ray_source(model, options, device, actors=ray_actors)
    typer.echo(NOTICE, err=True)
    report = predict_folder(
        loaded,
        listed,
        out,
        shard=share,
        source=source,
        report_skipped=partial(typer.echo, err=True),
    )
    missing = [f"{index}/{share.of}" for index in report.missing_shards]
    if zones:
        from detector.lungs.packaged import load_segmenter
        from localize.pipeline.zones_table import write_zones
        from localize.prediction.lung_borders import ZONES_TABLE
        from localize.prediction.tables import read_prediction

        write_zones(
            read_prediction(out),
            listed,
            load_segmenter(device=choose_device(device)),
            out / ZONES_TABLE,
        )
    if as_json:
        counts: dict[str, int | list[str]] = {
            "predicted": report.predicted,
            "skipped": report.skipped,
            "boxes": report.boxes,
            "already_done": report.already_done,
        }
        if missing:
            counts["missing_shards"] = missing
        typer.echo(json.dumps({"out": str(out), **counts}))
    else:
        earlier = f" ({report.already_done} by an earlier run)" if report.already_done else ""
        typer.echo(
            f"{report.predicted} films predicted{earlier}, {report.skipped} skipped, "
            f"{report.boxes} boxes: {out}"
        )
        if missing:
            typer.echo(f"joined once these shards are finished, too: {', '.join(missing)}")
        least = loaded.bundle.calibration.operating_point
        if least is not None and ranking != "detector":
            typer.echo(
                f"gallery, view and export show boxes from score {least:.3g} on; "
                "with --all-boxes the others, too"
            )
