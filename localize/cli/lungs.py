"""`pneumoloc lungs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from localize.cli.shared import NOTICE, Device, Json, Split


def lungs(
    films: Annotated[
        list[Path],
        typer.Argument(help="Films (PNG, JPEG, DICOM), folders of films, or a manifest."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for label pictures and lungs.csv.")],
    split: Split = "",
    overlays: Annotated[
        bool, typer.Option("--overlays", help="Also draw the fields on the films.")
    ] = False,
    on_error: Annotated[
        Literal["fail", "skip"], typer.Option(help="What an unreadable film does.")
    ] = "fail",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Find the lungs and the heart: a label picture for each film, and a table.

    Labels are 1 right lung, 2 left lung (the patient's), 3 heart, in film pixels.
    """
    import json
    from dataclasses import asdict
    from functools import partial

    from data_manifests.support.errors import ConfigError
    from localize.inference.film_list import films_to_predict

    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: expected a folder, got a file")
    if out.resolve() in (path.resolve() for path in films):
        raise ConfigError(f"--out {out}: expected a folder of its own, got that of the films")
    listed = films_to_predict(films, split)

    from detector.lungs.packaged import load_segmenter
    from detector.run.device import choose_device
    from localize.pipeline.lungs_folder import TABLE, write_lungs

    typer.echo(NOTICE, err=True)
    report = write_lungs(
        load_segmenter(device=choose_device(device)),
        listed,
        out,
        skip_errors=on_error == "skip",
        overlays=overlays,
        report_skipped=partial(typer.echo, err=True),
    )
    if as_json:
        typer.echo(json.dumps({"out": str(out), **asdict(report)}))
        return
    typer.echo(
        f"{report.written} films, both lungs found on {report.complete}, {report.skipped} skipped: "
        f"{out / TABLE}"
    )
