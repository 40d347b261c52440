"""`pneumoloc export` and `pneumoloc import-boxes`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from localize.formats.format_name import ExportFormat, ImportFormat

if TYPE_CHECKING:
    from localize.prediction.prediction_folder import PredictedFilms

Labels = Annotated[
    list[str] | None, typer.Option("--label", help="Rename a label: OLD=NEW. Repeatable.")
]
MinScore = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Leave out boxes with a lower score (those without one stay)."),
]
MaxBoxes = Annotated[int | None, typer.Option(min=0, help="At most this many best boxes a film.")]
AllBoxes = Annotated[
    bool,
    typer.Option("--all-boxes", help="Also boxes below the operating point of the model."),
]
ImageRoot = Annotated[
    Path | None, typer.Option(help="Folder of the films; names are relative to it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def register(app: typer.Typer) -> None:
    """Add both commands to an application."""
    app.command("export")(export_command)
    app.command("import-boxes")(import_command)


def export_command(
    folder: Annotated[
        Path, typer.Argument(help="A prediction, groundings, or a manifest (its true boxes).")
    ],
    format_name: Annotated[
        ExportFormat, typer.Option("--format", help="The format to write: docs/formats.md.")
    ],
    out: Annotated[Path, typer.Option(help="File, or new folder for formats of many files.")],
    min_score: MinScore = None,
    all_boxes: AllBoxes = False,
    max_boxes: MaxBoxes = None,
    label: Labels = None,
    image_root: ImageRoot = None,
    image_url: Annotated[
        str, typer.Option(help="label-studio: put before each film's name.")
    ] = "/data/local-files/?d=",
    coco_images: Annotated[
        Path | None, typer.Option(help="coco*: take image ids from this COCO file.")
    ] = None,
    coco_polygon: Annotated[
        bool, typer.Option(help="coco: boxes as polygons in `segmentation`, or [].")
    ] = True,
    voc_one_based: Annotated[
        bool, typer.Option("--voc-one-based", help="voc: count pixels from 1, ends included.")
    ] = False,
    voc_floats: Annotated[
        bool, typer.Option("--voc-floats", help="voc: do not round corners.")
    ] = False,
    yolo_confidence: Annotated[
        bool, typer.Option("--yolo-confidence", help="yolo: a sixth column with the score.")
    ] = False,
    replace_dots: Annotated[
        bool, typer.Option("--replace-dots", help="voc, yolo: dots in file names become _.")
    ] = False,
    spacing_mm: Annotated[
        float | None, typer.Option(help="slicer: pixel size where a film is no DICOM file.")
    ] = None,
    png_films: Annotated[
        Path | None,
        typer.Option(help="Folder for PNG copies of DICOM films, for tools that show no DICOM."),
    ] = None,
    keep_patient: Annotated[
        bool, typer.Option("--keep-patient", help="dicom-*: copy the patient's name and id.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the boxes in the format of an annotation tool or as DICOM, with a sidecar CSV."""
    import json

    from localize.formats.export import export
    from localize.formats.hub.format_options import FormatOptions
    from localize.formats.hub.from_tables import (
        Selection,
        annotations_from_manifest,
        annotations_from_prediction,
    )
    from localize.formats.hub.sidecar import sidecar_path
    from localize.inference.film_list import is_manifest

    labels = _label_map(label)
    if (folder / "grounding.json").is_file():
        from localize.formats.hub.from_groundings import annotations_from_groundings

        annotations = annotations_from_groundings(
            folder,
            Selection(min_score, max_boxes, labels),
            image_root="" if image_root is None else str(image_root),
        )
    elif not is_manifest(folder):
        from localize.prediction.prediction_folder import open_prediction

        predicted = open_prediction(folder)
        least = _least_score(predicted, min_score, all_boxes)
        annotations = annotations_from_prediction(
            predicted,
            Selection(least, max_boxes, labels),
            image_root="" if image_root is None else str(image_root),
        )
    else:
        from data_manifests.tables.manifest import read_manifest

        selection = Selection(min_score, max_boxes, labels)
        annotations = annotations_from_manifest(read_manifest(folder), selection)
    options = FormatOptions(
        coco_polygon=coco_polygon,
        coco_images=coco_images,
        voc_one_based=voc_one_based,
        voc_floats=voc_floats,
        yolo_confidence=yolo_confidence,
        replace_dots=replace_dots,
        image_url=image_url,
        image_root=image_root,
        spacing_mm=spacing_mm,
        png_films=png_films,
        keep_patient=keep_patient,
    )
    boxes = export(annotations, format_name, out, options=options)
    result = {
        "format": format_name,
        "out": str(out),
        "sidecar": str(sidecar_path(out)),
        "films": len(annotations),
        "boxes": boxes,
    }
    text = f"{boxes} boxes of {len(annotations)} films: {out}"
    typer.echo(json.dumps(result) if as_json else text)


def import_command(
    path: Annotated[Path, typer.Argument(help="The annotators' file or folder.")],
    format_name: Annotated[
        ImportFormat, typer.Option("--format", help="The format of the file: docs/formats.md.")
    ],
    manifest_folder: Annotated[Path, typer.Option("--manifest", help="The manifest of the films.")],
    out: Annotated[Path, typer.Option(help="New folder for the corrected manifest.")],
    prediction_folder: Annotated[
        Path | None,
        typer.Option("--prediction", help="What was exported: adds the summary of changes."),
    ] = None,
    min_score: MinScore = None,
    all_boxes: AllBoxes = False,
    max_boxes: MaxBoxes = None,
    label: Labels = None,
    annotator: Annotated[
        str, typer.Option(help="Who annotated, where the file does not say.")
    ] = "import",
    only_annotator: Annotated[
        str, typer.Option(help="Take the work of this annotator alone.")
    ] = "",
    only_imported: Annotated[
        bool, typer.Option("--only-imported", help="Keep only the films of the file.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import corrected boxes into a manifest, with a summary of who changed what.

    Give `--min-score`, `--all-boxes`, `--max-boxes` and `--label` as at the export: they select the
    same boxes.
    The new manifest holds `changes.json`, `changes.csv` (box by box) beside its tables.
    """
    import json

    from data_manifests.support.atomic import write_text
    from data_manifests.support.csv_file import write_csv
    from data_manifests.tables.manifest import read_manifest, write_manifest
    from localize.formats.changes import summarise_changes
    from localize.formats.hub.from_tables import Selection, annotations_from_prediction
    from localize.formats.hub.writing import atomic_folder
    from localize.formats.import_boxes import (
        ImportOptions,
        import_boxes,
        imported_info,
        of_annotator,
    )
    from localize.formats.registry import read_annotations
    from localize.prediction.tables import read_prediction

    manifest = read_manifest(manifest_folder)
    films = of_annotator(read_annotations(path, format_name, manifest), only_annotator)
    options = ImportOptions(annotator=annotator, only_imported=only_imported)
    corrected = imported_info(
        import_boxes(films, manifest, options=options), path, format_name, out
    )
    summary = None
    if prediction_folder is not None:
        prediction = read_prediction(prediction_folder)
        least = _least_score(prediction, min_score, all_boxes)
        selection = Selection(least, max_boxes, _label_map(label))
        predicted = annotations_from_prediction(prediction, selection)
        summary = summarise_changes(predicted, films, manifest, annotator=annotator)
    with atomic_folder(out) as folder:
        write_manifest(corrected, folder)
        if summary is not None:
            write_text(folder / "changes.json", summary.to_json())
            write_csv(folder / "changes.csv", summary.table)
    if as_json:
        changes = None if summary is None else json.loads(summary.to_json())
        boxes = sum(len(film) for film in films)
        result = {"out": str(out), "films": len(films), "boxes": boxes, "changes": changes}
        typer.echo(json.dumps(result))
    else:
        typer.echo(f"{len(films)} films, {sum(len(film) for film in films)} boxes: {out}")
        if summary is not None:
            typer.echo("\n" + summary.to_markdown())


def _least_score(
    prediction: PredictedFilms, min_score: float | None, all_boxes: bool
) -> float | None:
    """The score given, else the operating point of the model, else None for all boxes.

    Raises:
        ConfigError: both options.
    """
    from data_manifests.support.errors import ConfigError

    if all_boxes and min_score is not None:
        raise ConfigError("expected --min-score or --all-boxes, got both")
    return None if all_boxes else prediction.operating_point() if min_score is None else min_score


def _label_map(pairs: list[str] | None) -> dict[str, str]:
    """OLD=NEW pairs as a mapping.

    Raises:
        ConfigError: one without `=` or an old label.
    """
    from data_manifests.support.errors import ConfigError

    labels = {}
    for pair in pairs or []:
        old, sign, new = pair.partition("=")
        if not (old and sign and new):
            raise ConfigError(f"--label: expected OLD=NEW, got {pair!r}")
        labels[old] = new
    return labels
