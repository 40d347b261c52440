"""`pneumoloc manifest build`: one command for each data set. Heavy imports stay inside commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data_manifests.phantom.domains import DomainName
from data_manifests.support.choices import OnError

app = typer.Typer(help="Build a manifest from a data set as published.", no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", help="The manifest folder to write.")]
OnBadFilm = Annotated[
    OnError,
    typer.Option(help="A missing or bad film: fail, or skip it and list it in skipped.csv."),
]
ReadFilms = Annotated[
    bool, typer.Option("--read-films", help="Decode every film instead of reading its header.")
]
Checksums = Annotated[bool, typer.Option("--checksums", help="Record the SHA-256 of every film.")]
ScaleBoxes = Annotated[
    bool,
    typer.Option("--scale-boxes", help="The films were resized: bring the boxes to their size."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command()
def rsna(
    folder: Annotated[Path, typer.Argument(help="stage_2_*.csv and stage_2_train_images/.")],
    out: Out,
    mapping: Annotated[
        Path | None, typer.Option(help="pneumonia-challenge-dataset-mappings_2018.json of RSNA.")
    ] = None,
    films: Annotated[Path | None, typer.Option(help="Another folder of the films.")] = None,
    on_error: OnBadFilm = OnError.FAIL,
    read_films: ReadFilms = False,
    checksums: Checksums = False,
    scale_boxes: ScaleBoxes = False,
    as_json: AsJson = False,
) -> None:
    """RSNA Pneumonia Detection Challenge, stage 2 (Kaggle): boxes on DICOM films."""
    from data_manifests.builders.build import BuildOptions
    from data_manifests.builders.rsna import build_rsna
    from data_manifests.cli_output import save_build

    options = BuildOptions(on_error, read_films, checksums, scale_boxes)
    build = build_rsna(folder, mapping=mapping, films=films, options=options)
    if mapping is None:
        typer.echo(
            "Without --mapping each film counts as a patient of its own: RSNA has up to dozens of "
            "films of one person, and this manifest cannot be split by person.",
            err=True,
        )
    save_build(build, out, as_json)


@app.command()
def nih(
    folder: Annotated[Path, typer.Argument(help="Data_Entry_2017*.csv, BBox_List_2017.csv.")],
    out: Out,
    films: Annotated[Path | None, typer.Option(help="Another folder of the films.")] = None,
    box_label: Annotated[list[str] | None, typer.Option(help="Boxes to take: Pneumonia.")] = None,
    only_boxed: Annotated[
        bool, typer.Option("--only-boxed", help="Only films with boxes.")
    ] = False,
    official_split: Annotated[
        bool, typer.Option("--official-split", help="train_val_list.txt and test_list.txt.")
    ] = False,
    on_error: OnBadFilm = OnError.FAIL,
    read_films: ReadFilms = False,
    checksums: Checksums = False,
    scale_boxes: ScaleBoxes = False,
    as_json: AsJson = False,
) -> None:
    """NIH ChestX-ray14: mined labels, and boxes on 880 films (120 of them pneumonia)."""
    from data_manifests.builders.build import BuildOptions
    from data_manifests.builders.nih import build_nih
    from data_manifests.cli_output import save_build

    build = build_nih(
        folder,
        films=films,
        box_labels=tuple(box_label or ("Pneumonia",)),
        only_boxed=only_boxed,
        official_split=official_split,
        options=BuildOptions(on_error, read_films, checksums, scale_boxes),
    )
    save_build(build, out, as_json)


@app.command()
def covid(
    folder: Annotated[Path, typer.Argument(help="A checkout: metadata.csv and images/.")],
    out: Out,
    severity_scores: Annotated[Path | None, typer.Option(help="covid-severity-scores.csv.")] = None,
    on_error: OnBadFilm = OnError.FAIL,
    read_films: ReadFilms = False,
    checksums: Checksums = False,
    as_json: AsJson = False,
) -> None:
    """COVID-19 Image Data Collection: frontal films, clinical notes, severity scores."""
    from data_manifests.builders.build import BuildOptions
    from data_manifests.builders.covid import build_covid
    from data_manifests.cli_output import save_build

    options = BuildOptions(on_error, read_films, checksums)
    save_build(build_covid(folder, severity_scores=severity_scores, options=options), out, as_json)


@app.command()
def openi(
    out: Out,
    reports: Annotated[
        Path | None,
        typer.Option(help="ecgen-radiology/ or its .tgz; default: inside torchxrayvision."),
    ] = None,
    films: Annotated[Path | None, typer.Option(help="PNG films; without: reports only.")] = None,
    on_error: OnBadFilm = OnError.FAIL,
    read_films: ReadFilms = False,
    checksums: Checksums = False,
    as_json: AsJson = False,
) -> None:
    """Open-i / Indiana University: 3,955 reports, frontal films."""
    from data_manifests.builders.build import BuildOptions
    from data_manifests.builders.openi import build_openi
    from data_manifests.cli_output import save_build

    options = BuildOptions(on_error, read_films, checksums)
    save_build(build_openi(reports, films=films, options=options), out, as_json)


@app.command("mimic-cxr")
def mimic_cxr(
    folder: Annotated[Path, typer.Argument(help="MIMIC-CXR-JPG: the .csv.gz tables and files/.")],
    out: Out,
    reports: Annotated[Path | None, typer.Option(help="The folder with files/p10/...txt.")] = None,
    boxes: Annotated[Path | None, typer.Option(help="Your boxes: COCO JSON, dicom ids.")] = None,
    only_boxed: Annotated[
        bool, typer.Option("--only-boxed", help="Only films that the boxes file lists.")
    ] = False,
    on_error: OnBadFilm = OnError.FAIL,
    read_films: ReadFilms = False,
    checksums: Checksums = False,
    scale_boxes: ScaleBoxes = False,
    as_json: AsJson = False,
) -> None:
    """MIMIC-CXR-JPG: frontal films, official splits, CheXpert labels, reports, your boxes."""
    from data_manifests.builders.build import BuildOptions
    from data_manifests.builders.mimic_cxr import build_mimic_cxr
    from data_manifests.cli_output import save_build

    build = build_mimic_cxr(
        folder,
        reports=reports,
        boxes=boxes,
        only_boxed=only_boxed,
        options=BuildOptions(on_error, read_films, checksums, scale_boxes),
    )
    save_build(build, out, as_json)


@app.command("csv")
def csv_(
    images: Annotated[Path, typer.Argument(help="A CSV with one row for each film.")],
    out: Out,
    films: Annotated[Path, typer.Option(help="The folder that the paths are relative to.")],
    boxes: Annotated[Path | None, typer.Option(help="A CSV with one row for each box.")] = None,
    reports: Annotated[Path | None, typer.Option(help="A CSV with study_id, text.")] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="image_id=Filename: our column = theirs; repeatable.")
    ] = None,
    box_column: Annotated[
        list[str] | None, typer.Option(help="The same for boxes; x, y, width, height work too.")
    ] = None,
    report_column: Annotated[
        list[str] | None, typer.Option(help="The same for the reports' table.")
    ] = None,
    text_column: Annotated[
        list[str] | None, typer.Option(help="A column of the film table that holds report text.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="A column to keep as a label, or NAME=COLUMN.")
    ] = None,
    label_rule: Annotated[
        list[str] | None,
        typer.Option(help="'pneumonia=1 where class=Lung Opacity [and ...]'; first fit wins."),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="Only rows with COLUMN=VALUE or COLUMN!=VALUE.")
    ] = None,
    boxes_where: Annotated[list[str] | None, typer.Option(help="The same for boxes.")] = None,
    ids_from_paths: Annotated[
        bool, typer.Option("--ids-from-paths", help="image_id = file name without extension.")
    ] = False,
    source: Annotated[str, typer.Option(help="Name of the data set.")] = "",
    on_error: OnBadFilm = OnError.FAIL,
    read_films: ReadFilms = False,
    checksums: Checksums = False,
    as_json: AsJson = False,
) -> None:
    """Any tables, with a mapping of their columns."""
    from data_manifests.builders.build import BuildOptions
    from data_manifests.builders.row_rules import parse_filter, parse_rule
    from data_manifests.builders.sources import key_values
    from data_manifests.builders.tables import ColumnMapping, TableSelection, build_tables
    from data_manifests.cli_output import save_build

    labels = [item if "=" in item else f"{item}={item}" for item in label or ()]
    build = build_tables(
        images,
        films,
        boxes=boxes,
        reports=reports,
        columns=ColumnMapping(
            images=key_values(column or (), "--column"),
            boxes=key_values(box_column or (), "--box-column"),
            reports=key_values(report_column or (), "--report-column"),
            labels=key_values(labels, "--label"),
            report_columns=tuple(text_column or ()),
        ),
        selection=TableSelection(
            where=[parse_filter(item) for item in where or ()],
            boxes_where=[parse_filter(item) for item in boxes_where or ()],
            rules=[parse_rule(item) for item in label_rule or ()],
            ids_from_paths=ids_from_paths,
            source=source,
        ),
        options=BuildOptions(on_error, read_films, checksums),
    )
    save_build(build, out, as_json)


@app.command()
def phantom(
    out: Out,
    films: Annotated[int, typer.Option(help="How many films.")] = 200,
    domain: Annotated[DomainName, typer.Option(help="The simulated hospital.")] = DomainName.A,
    shift: Annotated[float, typer.Option(help="How far hospital B is from A, 0 to 1.")] = 1.0,
    size: Annotated[int, typer.Option(help="Sides of the films in pixels.")] = 256,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal films.")] = 0,
    prevalence: Annotated[float, typer.Option(help="Share of films with an opacity.")] = 0.5,
    bits: Annotated[int, typer.Option(help="Bits of a grey level, 8 or 16.")] = 8,
    start: Annotated[int, typer.Option(help="Number of the first film.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Generated films with planted opacities and reports; needs no data."""
    from data_manifests.builders.build import Build
    from data_manifests.cli_output import show_build
    from data_manifests.phantom.case import PhantomOptions
    from data_manifests.phantom.generate import build_phantom

    options = PhantomOptions(
        size=size, domain=domain, shift=shift, seed=seed, prevalence=prevalence, bits=bits
    )
    manifest = build_phantom(out, options, films=films, start=start, workers=workers)
    show_build(Build(manifest), out, as_json)
