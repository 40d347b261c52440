"""3D Slicer markups: one `.mrk.json` for each film, a flat ROI box for each box.

Coordinates are millimetres in LPS. Slicer puts the centre of a film's first pixel at the origin, x
to the patient's left and y downwards, so pixel corners lie half a pixel before their centres.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
from pydicom.errors import InvalidDicomError

from data_manifests.support.errors import DataError, Problem
from localize.formats.hub.annotations import Annotations, FilmAnnotation
from localize.formats.hub.film_names import SafeNames, film_file, split_suffix
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.writing import atomic_folder, json_line

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
    "Resources/Schema/markups-schema-v1.0.3.json#"
)
DEPTH_MM = 1.0  # a film has none; a box needs one
IDENTITY = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
DICOM_SUFFIXES = (".dcm", ".dicom", ".dic", "")


def write_slicer(annotations: Annotations, target: Path, options: FormatOptions) -> None:
    """Write the markups; films without boxes have a file without markups.

    Raises:
        DataError: no pixel size (DICOM without spacing, or no `spacing_mm`); `target` holds
            something already.
    """
    names = SafeNames(annotations.film_names())
    with atomic_folder(target) as folder:
        for film in annotations:
            path = folder / f"{names.of(film.name)}.mrk.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            row_mm, column_mm = _spacing(film, options)
            markups = [_markup(film, place, column_mm, row_mm) for place in range(len(film))]
            path.write_text(json_line({"@schema": SCHEMA, "markups": markups}) + "\n", "utf-8")


def _markup(film: FilmAnnotation, place: int, column_mm: float, row_mm: float) -> dict[str, Any]:
    x1, y1, x2, y2 = film.xyxy[place].tolist()
    score = film.score(place)
    words = ["" if score is None else f"{score:.4f}", *film.keywords[place]]
    centre = [((x1 + x2) / 2 - 0.5) * column_mm, ((y1 + y2) / 2 - 0.5) * row_mm, 0.0]
    return {
        "type": "ROI",
        "name": f"{film.labels[place]} {place + 1}",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "controlPoints": [
            {
                "id": "1",
                "label": film.labels[place],
                "description": " ".join(word for word in words if word),
                "position": centre,
            }
        ],
        "roiType": "Box",
        "center": centre,
        "orientation": IDENTITY,
        "size": [(x2 - x1) * column_mm, (y2 - y1) * row_mm, DEPTH_MM],
        "insideOut": False,
    }


def _spacing(film: FilmAnnotation, options: FormatOptions) -> tuple[float, float]:
    """Row and column spacing in mm: of the DICOM file, else `spacing_mm`."""
    if split_suffix(film.name)[1].lower() in DICOM_SUFFIXES:
        path = film_file(film.name, film.path, options.image_root)
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True)
            spacing = header.get("PixelSpacing") or header.get("ImagerPixelSpacing")
            if spacing is not None and len(spacing) == 2:
                return float(spacing[0]), float(spacing[1])
        except (InvalidDicomError, ValueError) as error:
            problem = Problem(f"film {film.image_id!r}", "a DICOM file", type(error).__name__)
            raise DataError.from_problems([problem]) from error
    if options.spacing_mm is None or not options.spacing_mm > 0:
        raise DataError.from_problems(
            [
                Problem(
                    f"film {film.image_id!r}",
                    "a pixel size in mm",
                    "none",
                    fix="give --spacing-mm (1 for a PNG or JPEG that Slicer opens itself)",
                )
            ]
        )
    return options.spacing_mm, options.spacing_mm
