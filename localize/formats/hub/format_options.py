"""`FormatOptions`: options of single formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FormatOptions:
    """Options of the exporters; each names the formats it concerns.

    - `coco_polygon` (coco): write each box also as a four-corner `segmentation`, else `[]`.
    - `coco_images` (coco, coco-results): a COCO file whose image ids are taken over by `file_name`.
    - `voc_one_based` (voc): classic inclusive pixels counted from 1; `voc_floats`: no rounding.
    - `yolo_confidence` (yolo): a sixth column, which most importers refuse.
    - `replace_dots` (voc, yolo): dots in file names become `_` (UIDs break CVAT's import).
    - `image_url` (label-studio): put before each film's quoted name.
    - `image_root` (via, slicer, png, dicom-*): the folder where the films lie.
    - `png_films` (formats that do not show DICOM): a folder for PNG copies of DICOM films.
    - `spacing_mm` (slicer): pixel size where the film is no DICOM file.
    - `keep_patient` (dicom-*): copy name, id, birth date, sex and accession number of the patient.
    """

    coco_polygon: bool = True
    coco_images: Path | None = None
    voc_one_based: bool = False
    voc_floats: bool = False
    yolo_confidence: bool = False
    replace_dots: bool = False
    image_url: str = "/data/local-files/?d="
    image_root: Path | None = None
    png_films: Path | None = None
    spacing_mm: float | None = None
    keep_patient: bool = False
