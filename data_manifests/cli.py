"""`pneumoloc manifest`: build, check and split manifests. Heavy imports stay inside commands."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_manifests.builders.cli import AsJson, ReadFilms
from data_manifests.builders.cli import app as build_app
from data_manifests.support.choices import LeakName

if TYPE_CHECKING:
    from data_manifests.tables.check import CheckReport

app = typer.Typer(help="Films, boxes and reports: one format, checked and split by patient.")
app.add_typer(build_app, name="build")


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="A manifest folder.")],
    image_root: Annotated[Path | None, typer.Option(help="Where the films are.")] = None,
    read_films: ReadFilms = False,
    no_films: Annotated[
        bool, typer.Option("--no-films", help="Only the tables; do not look for film files.")
    ] = False,
    allow_leak: Annotated[
        list[LeakName] | None, typer.Option(help="Accept this leak; may repeat.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """All problems of a manifest at once; exit code 2 if there are any."""
    from data_manifests.support.freed_memory import freed_memory_returned
    from data_manifests.tables.check import check_manifest

    allow = tuple(allow_leak or ())
    with freed_memory_returned():
        report = check_manifest(
            folder, image_root, find_films=not no_films, read_films=read_films, allow=allow
        )
    _show_check(report, as_json)
    if not report.is_sound:
        raise typer.Exit(2)


@app.command()
def split(
    folder: Annotated[Path, typer.Argument(help="A manifest folder.")],
    out: Annotated[Path | None, typer.Option(help="Write here; default: into the folder.")] = None,
    train: Annotated[
        float, typer.Option(min=0, help="Share of the patients, or parts: 1 1 1.")
    ] = 0.7,
    val: Annotated[float, typer.Option(min=0, help="Share of the patients.")] = 0.15,
    test: Annotated[float, typer.Option(min=0, help="Share of the patients.")] = 0.15,
    stratify_by: Annotated[
        list[str] | None,
        typer.Option(help="has_box, has_report, or a column of images or labels; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal splits.")] = 0,
    keep_existing: Annotated[
        bool, typer.Option("--keep-existing", help="Patients that have a split keep it.")
    ] = False,
    replace_split: Annotated[
        bool, typer.Option("--replace-split", help="Overwrite another split of the manifest.")
    ] = False,
    around: Annotated[
        Path | None,
        typer.Option(help="A manifest: its val and test patients get no split here, others train."),
    ] = None,
    around_nih_pneumonia: Annotated[
        bool,
        typer.Option("--around-nih-pneumonia", help="Leave out patients of NIH's pneumonia boxes."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Split by patient, stratified; the same seed and patients give the same split."""
    from data_manifests.cli_output import new_split, refuse_other_split, save_split
    from data_manifests.support.errors import ConfigError
    from data_manifests.support.freed_memory import freed_memory_returned
    from data_manifests.tables.manifest import read_manifest
    from data_manifests.tables.split import (
        DEFAULT_STRATA,
        NOT_SPLIT,
        split_around,
        split_around_nih_pneumonia,
        split_manifest,
    )

    if around is not None and around_nih_pneumonia:
        raise ConfigError("--around and --around-nih-pneumonia exclude each other")
    with freed_memory_returned():
        manifest = read_manifest(folder, without=NOT_SPLIT)
        manifest = replace(manifest, boxes=manifest.boxes[["image_id"]])  # corners take memory
        if around is not None:
            manifest = split_around(manifest, read_manifest(around))
        elif around_nih_pneumonia:
            manifest = split_around_nih_pneumonia(manifest)
        else:
            parts = train + val + test
            if parts <= 0:
                raise ConfigError(
                    "--train, --val, --test: expected shares or parts of which one is above 0, "
                    f"got {train:g}, {val:g}, {test:g}"
                )
            manifest = split_manifest(
                manifest,
                {"train": train / parts, "val": val / parts, "test": test / parts},
                tuple(stratify_by or DEFAULT_STRATA),
                seed,
                keep_existing=keep_existing,
            )
        if not replace_split:
            refuse_other_split(manifest, out or folder)
        new = new_split(manifest, folder, out or folder)
        del manifest  # its tables are read again, one after the other
        save_split(new, folder, out or folder, as_json)


def _show_check(report: CheckReport, as_json: bool) -> None:
    from data_manifests.cli_output import problem_json
    from data_manifests.support.errors import MAX_PROBLEMS_SHOWN

    if as_json:
        content = {
            "folder": report.folder,
            "is_sound": report.is_sound,
            "counts": dict(report.counts),
            "films_by_split": dict(report.films_by_split),
            "problems": [problem_json(problem) for problem in report.problems],
            "notes": [problem_json(problem) for problem in report.notes],
        }
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    for name, count in report.counts.items():
        typer.echo(f"{name.replace('_', ' '):22} {count:>10,}")
    for name, count in report.films_by_split.items():
        typer.echo(f"{'films in ' + name:22} {count:>10,}")
    for title, problems in (("problems", report.problems), ("notes", report.notes)):
        typer.echo(f"{title:22} {len(problems):>10,}")
        for problem in problems[:MAX_PROBLEMS_SHOWN]:
            typer.echo(f"  {problem}", err=True)
        if len(problems) > MAX_PROBLEMS_SHOWN:
            rest = len(problems) - MAX_PROBLEMS_SHOWN
            typer.echo(f"  ... and {rest} more (--json lists all)", err=True)
