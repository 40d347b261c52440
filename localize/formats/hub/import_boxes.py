"""`import_boxes`: what annotators sent back, into a manifest, with who changed what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from data_manifests.boxes import valid_boxes
from data_manifests.support.arrays import Floats
from data_manifests.support.errors import ConfigError, DataError, Problem
from data_manifests.tables.columns import BOX_COLUMNS
from data_manifests.tables.manifest import Manifest, make_manifest
from localize.formats.dicom.sr import read_dicom_sr
from localize.formats.hub.annotations import DEFAULT_LABEL, FilmAnnotation
from localize.formats.hub.film_match import FilmMatcher
from localize.formats.tools.coco import read_coco
from localize.formats.tools.cvat import read_cvat
from localize.formats.tools.label_studio import read_label_studio
from localize.formats.tools.labelme import read_labelme
from localize.formats.tools.via import read_via
from localize.formats.tools.voc import read_voc
from localize.formats.tools.yolo import read_yolo

READERS: dict[str, Callable[[Path], list[FilmAnnotation]]] = {
    "coco": read_coco,
    "v7-coco": read_coco,
    "voc": read_voc,
    "voc-one-based": lambda path: read_voc(path, is_one_based=True),
    "yolo": read_yolo,
    "yolo-1.1": read_yolo,
    "label-studio": read_label_studio,
    "cvat": read_cvat,
    "labelme": read_labelme,
    "via": read_via,
    "dicom-sr": read_dicom_sr,
}
# Tools round: a corner this far outside is set onto the edge, anything further is a fault.
EDGE_TOLERANCE_PX = 1.0


@dataclass(frozen=True)
class ImportOptions:
    """How imported boxes enter the manifest.

    `annotator` is written where the file names none. `label_map` renames labels. With
    `only_imported` the new manifest keeps the films of the file alone.
    """

    annotator: str = "import"
    label_map: Mapping[str, str] = field(default_factory=dict)
    only_imported: bool = False


def read_annotations(path: Path, format_name: str) -> list[FilmAnnotation]:
    """Read an annotation file or folder of one of `READERS`.

    Raises:
        ConfigError: no such format.
        DataError: all faults of the file together.
    """
    reader = READERS.get(format_name)
    if reader is None:
        raise ConfigError(f"format: expected one of {', '.join(READERS)}, got {format_name!r}")
    return reader(path)


def import_boxes(
    films: Sequence[FilmAnnotation], manifest: Manifest, *, options: ImportOptions | None = None
) -> Manifest:
    """A manifest where the films of an annotation file have its boxes instead of their own.

    Films that the file does not name keep their boxes. `labels.reviewed` becomes 1 for the films of
    the file (also those without boxes), and stays or becomes 0 for the others.

    Raises:
        DataError: a film that is not in the manifest or comes twice, another size, a box outside.
    """
    options = options or ImportOptions()
    rows = matched_rows(films, manifest)
    parts = [_box_table(f, r, manifest, options) for f, r in zip(films, rows, strict=True)]
    problems = [problem for _, found in parts for problem in found]
    if problems:
        raise DataError.from_problems(problems)
    image_ids = manifest.images["image_id"]
    imported = set(image_ids.iloc[rows])
    kept = manifest.boxes[~manifest.boxes["image_id"].isin(imported)]
    boxes = pd.concat([kept, *(table for table, _ in parts)], ignore_index=True)
    result = make_manifest(
        manifest.images,
        boxes,
        manifest.reports,
        _reviewed(manifest, imported),
        info=manifest.info,
        root=manifest.root,
    )
    return result.subset(list(image_ids.isin(imported))) if options.only_imported else result


def matched_rows(films: Sequence[FilmAnnotation], manifest: Manifest) -> list[int]:
    """The row of `manifest.images` of each film.

    Raises:
        DataError: a film that is not in the manifest, or two that are one.
    """
    matcher = FilmMatcher(manifest)
    problems, rows = [], []
    seen: dict[int, str] = {}
    for film in films:
        row = matcher.find(film.name, film.image_id)
        if row is None:
            fix = "give the manifest that was exported"
            problems.append(Problem("import", "a film of the manifest", repr(film.name), fix=fix))
        elif row in seen:
            problems.append(Problem("import", "each film once", f"{seen[row]!r} and {film.name!r}"))
        else:
            seen[row] = film.name
            rows.append(row)
    if problems:
        raise DataError.from_problems(problems)
    return rows


def film_pixels(film: FilmAnnotation, width: int, height: int) -> Floats:
    """The boxes of a film in its pixels; corners up to a pixel outside are set onto the edge.

    Raises:
        ValueError: the file says another size, or a box is flipped, empty or further outside.
    """
    if film.width and (film.width, film.height) != (width, height):
        raise ValueError(f"film of {width} x {height} px, got {film.width} x {film.height}")
    size = np.array([width, height] * 2, dtype=np.float64)
    xyxy = film.xyxy * size if film.is_normalised else film.xyxy
    outside = np.maximum(-xyxy, xyxy - size)
    if (outside > EDGE_TOLERANCE_PX).any():
        raise ValueError(f"boxes inside {width} x {height} px, got {xyxy[outside.argmax() // 4]}")
    xyxy = np.clip(xyxy, 0, size)
    bad = np.flatnonzero(~valid_boxes(xyxy, width, height))
    if len(bad):
        raise ValueError(f"x1 < x2 and y1 < y2, got {xyxy[bad[0]].tolist()}")
    return xyxy


def _box_table(
    film: FilmAnnotation, row: int, manifest: Manifest, options: ImportOptions
) -> tuple[pd.DataFrame, list[Problem]]:
    image = manifest.images.iloc[row]
    width, height = image["width"], image["height"]
    if pd.isna(width) or pd.isna(height):
        width, height = film.width, film.height
    try:
        if not (width and height):
            raise ValueError("a size of the film in the manifest or the file, got none")
        xyxy = film_pixels(film, int(width), int(height))
    except ValueError as error:
        expected, _, got = str(error).partition(", got ")
        return pd.DataFrame(), [Problem("import", expected, got, field=f"film {film.name!r}")]
    labels = [options.label_map.get(label, label) or DEFAULT_LABEL for label in film.labels]
    names = film.annotators or ("",) * len(film)
    table = pd.DataFrame(
        {
            "image_id": image["image_id"],
            **dict(zip(("x1", "y1", "x2", "y2"), xyxy.T, strict=True)),
            "label": labels,
            "annotator": [name or options.annotator for name in names],
        }
    )
    return table[list(BOX_COLUMNS)], []


def _reviewed(manifest: Manifest, imported: set[str]) -> pd.DataFrame:
    """The labels with `reviewed`, one row for each film at least."""
    labels = manifest.images[["image_id"]].merge(manifest.labels, on="image_id", how="left")
    before = pd.to_numeric(labels["reviewed"]) if "reviewed" in labels else 0.0
    is_imported = labels["image_id"].isin(imported)
    return labels.assign(reviewed=np.maximum(is_imported.astype(float), np.nan_to_num(before)))
