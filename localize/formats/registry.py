"""`WRITERS` and `READERS`: one entry for each annotation format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data_manifests.support.errors import ConfigError
from data_manifests.tables.manifest import Manifest
from localize.formats.dicom.gsps import write_dicom_gsps
from localize.formats.dicom.seg import write_dicom_seg
from localize.formats.dicom.sr import name_by_sop_uid, read_dicom_sr, write_dicom_sr
from localize.formats.format_name import ExportFormat, ImportFormat
from localize.formats.hub.annotations import Annotations
from localize.formats.hub.film_matcher import film_sizes
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.imported_film import ImportedFilm
from localize.formats.tools.coco import read_coco, write_coco, write_coco_results, write_v7_coco
from localize.formats.tools.cvat import read_cvat, write_cvat
from localize.formats.tools.label_studio import read_label_studio, write_label_studio
from localize.formats.tools.labelme import read_labelme, write_labelme
from localize.formats.tools.overlay import write_overlays
from localize.formats.tools.rsna_csv import read_rsna_csv, write_rsna_csv
from localize.formats.tools.slicer import write_slicer
from localize.formats.tools.via import read_via, write_via
from localize.formats.tools.voc import read_voc, write_voc
from localize.formats.tools.yolo import read_yolo, write_yolo, write_yolo_darknet

Writer = Callable[[Annotations, Path, FormatOptions], None]
Reader = Callable[[Path, Manifest], list[ImportedFilm]]


@dataclass(frozen=True)
class ExportedFormat:
    """How a format is written.

    Args:
        write: writes all films into a file or folder.
        suffixes: endings of its file, the usual one first; none for a folder of many files.
        loses: what the format has no field for; the sidecar CSV has it.
        shows_dicom: whether the tools of the format open DICOM films.
    """

    write: Writer
    suffixes: tuple[str, ...] = ()
    loses: tuple[str, ...] = ()
    shows_dicom: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether the format is a folder of many files."""
        return not self.suffixes


FILM_NUMBERS = ("P(pneumonia)", "severity")
BOX_WORDS = ("score", "words", "annotator")

WRITERS: dict[ExportFormat, ExportedFormat] = {
    ExportFormat.COCO: ExportedFormat(write_coco, (".json",)),
    ExportFormat.COCO_RESULTS: ExportedFormat(
        write_coco_results,
        (".json",),
        ("films without boxes", "words", "annotator", *FILM_NUMBERS),
        shows_dicom=True,
    ),
    ExportFormat.V7_COCO: ExportedFormat(
        write_v7_coco, (".json",), ("fractions of a pixel", *BOX_WORDS, *FILM_NUMBERS)
    ),
    ExportFormat.VOC: ExportedFormat(write_voc, (), ("fractions of a pixel", *FILM_NUMBERS)),
    ExportFormat.YOLO: ExportedFormat(write_yolo, (), (*BOX_WORDS, *FILM_NUMBERS)),
    ExportFormat.YOLO_DARKNET: ExportedFormat(write_yolo_darknet, (), (*BOX_WORDS, *FILM_NUMBERS)),
    ExportFormat.LABEL_STUDIO: ExportedFormat(write_label_studio, (".json",)),
    ExportFormat.CVAT: ExportedFormat(write_cvat, (".xml",)),
    ExportFormat.LABELME: ExportedFormat(write_labelme),
    ExportFormat.VIA: ExportedFormat(write_via, (".csv", ".json")),
    ExportFormat.RSNA_CSV: ExportedFormat(
        write_rsna_csv, (".csv",), ("words", "annotator", *FILM_NUMBERS), shows_dicom=True
    ),
    ExportFormat.SLICER: ExportedFormat(
        write_slicer, (), ("annotator", *FILM_NUMBERS), shows_dicom=True
    ),
    ExportFormat.PNG: ExportedFormat(
        write_overlays, (), ("annotator", "words", "severity"), shows_dicom=True
    ),
    ExportFormat.DICOM_SR: ExportedFormat(write_dicom_sr, (), ("annotator",), shows_dicom=True),
    ExportFormat.DICOM_GSPS: ExportedFormat(
        write_dicom_gsps, (), ("annotator", *FILM_NUMBERS), shows_dicom=True
    ),
    ExportFormat.DICOM_SEG: ExportedFormat(
        write_dicom_seg,
        (),
        ("films without boxes", "fractions of a pixel", "annotator", *FILM_NUMBERS),
        shows_dicom=True,
    ),
}

READERS: dict[ImportFormat, Reader] = {
    ImportFormat.COCO: lambda path, _: read_coco(path),
    ImportFormat.V7_COCO: lambda path, _: read_coco(path),
    ImportFormat.VOC: lambda path, _: read_voc(path),
    ImportFormat.VOC_ONE_BASED: lambda path, _: read_voc(path, is_one_based=True),
    ImportFormat.YOLO: lambda path, films: read_yolo(path, film_sizes(films)),
    ImportFormat.YOLO_DARKNET: lambda path, films: read_yolo(path, film_sizes(films)),
    ImportFormat.LABEL_STUDIO: lambda path, _: read_label_studio(path),
    ImportFormat.CVAT: lambda path, _: read_cvat(path),
    ImportFormat.LABELME: lambda path, _: read_labelme(path),
    ImportFormat.VIA: lambda path, _: read_via(path),
    ImportFormat.RSNA_CSV: lambda path, films: read_rsna_csv(path, film_sizes(films)),
    ImportFormat.DICOM_SR: lambda path, films: name_by_sop_uid(read_dicom_sr(path), films),
}


def exported_format(name: str) -> ExportedFormat:
    """How a format is written.

    Raises:
        ConfigError: no such format.
    """
    if name not in tuple(ExportFormat):
        raise ConfigError(f"format: expected one of {', '.join(ExportFormat)}, got {name!r}")
    return WRITERS[ExportFormat(name)]


def read_annotations(path: Path, name: str, manifest: Manifest) -> list[ImportedFilm]:
    """Read an annotation file or folder.

    Args:
        path: the file or folder.
        name: one of `ImportFormat`.
        manifest: the films, for formats without sizes or file names.

    Raises:
        ConfigError: no such format.
        DataError: all errors of the file together.
    """
    if name not in tuple(ImportFormat):
        raise ConfigError(f"format: expected one of {', '.join(ImportFormat)}, got {name!r}")
    return READERS[ImportFormat(name)](path, manifest)
