"""`pneumoloc ground`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from localize.bundle.packaged import PACKAGED_BUNDLE
from localize.cli.shared import NOTICE, Device, Json, Split


def ground(
    films: Annotated[Path, typer.Argument(help="A manifest of films with reports, or one film.")],
    out: Annotated[Path, typer.Option("--out", help="New folder for the groundings.")],
    report: Annotated[
        str, typer.Option("--report", help="The report of one film, as a text.")
    ] = "",
    report_file: Annotated[
        Path | None, typer.Option("--report-file", help="The report of one film, a text file.")
    ] = None,
    model: Annotated[
        Path,
        typer.Option("--model", help="Model bundle.", show_default="the package's bundle"),
    ] = PACKAGED_BUNDLE,
    lexicon: Annotated[
        str, typer.Option(help="Language of the reports (en, es), or a lexicon file.")
    ] = "en",
    split: Split = "",
    on_error: Annotated[
        Literal["fail", "skip"], typer.Option(help="What an unreadable film does.")
    ] = "fail",
    batch_size: Annotated[int, typer.Option(min=1, help="Films at a time.")] = 8,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Find each sentence of a report on its film: boxes, or the reason why there is none."""
    import json
    from dataclasses import asdict

    from attributes.lexicon.load import load_lexicon
    from attributes.reports import read_one_report
    from data_manifests.support.errors import ConfigError
    from localize.inference.film_list import is_manifest

    if report and report_file is not None:
        raise ConfigError("expected --report or --report-file, got both")
    text = report if report_file is None else read_one_report(report_file).sections[0][1]
    has_text = bool(report) or report_file is not None
    if has_text and is_manifest(films):
        raise ConfigError(f"--report: expected one film, got the manifest {films}")
    if not has_text and not films.is_dir():
        raise ConfigError(
            f"{films}: expected --report TEXT or --report-file FILE with one film, got neither; "
            "`pneumoloc predict` needs no report"
        )
    if has_text and not text.strip():
        raise ConfigError("--report: expected a text, got none")
    load_lexicon(lexicon)  # before torch is imported, which takes seconds

    from detector.run.device import choose_device
    from localize.bundle.bundle import load_bundle
    from localize.inference.film_list import films_to_predict
    from localize.inference.ground_films import FilmWithReport, GroundOptions
    from localize.inference.ground_folder import ground_folder
    from localize.inference.model import Model
    from localize.inference.options import PredictOptions
    from localize.inference.report_films import report_films

    options = GroundOptions(lexicon=lexicon, skip_errors=on_error == "skip")
    loaded = Model(load_bundle(model), PredictOptions(batch_size=batch_size), choose_device(device))
    if has_text:
        listed = films_to_predict([films])
        if len(listed) != 1:
            raise ConfigError(f"--report: expected one film, got {len(listed)} in {films}")
        film = listed[0]
        jobs = iter(
            [FilmWithReport(film.image_id, film.image_id, film.path, film.file, (("", text),))]
        )
    else:
        jobs = report_films(films, split)
    typer.echo(NOTICE, err=True)
    counts = ground_folder(loaded, jobs, out, options)
    if as_json:
        typer.echo(json.dumps({"out": str(out), **asdict(counts)}))
        return
    without = ", ".join(f"{number} {why}" for why, number in sorted(counts.why_none.items()))
    typer.echo(
        f"{counts.read} films with reports, {counts.sentences} findings and sentences, "
        f"{counts.boxes} boxes{f'; without a box: {without}' if without else ''}: {out}"
    )
