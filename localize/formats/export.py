"""`export`: a hub of films and boxes into any of the formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from data_manifests.support.errors import ConfigError, DataError
from localize.formats.dicom.gsps import write_dicom_gsps
from localize.formats.dicom.seg import write_dicom_seg
from localize.formats.dicom.sr import write_dicom_sr
from localize.formats.hub.annotations import Annotations
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.sidecar import sidecar_path, write_sidecar
from localize.formats.tools.coco import write_coco, write_coco_results, write_v7_coco
from localize.formats.tools.cvat import write_cvat
from localize.formats.tools.label_studio import write_label_studio
from localize.formats.tools.labelme import write_labelme
from localize.formats.tools.rsna_csv import write_rsna_csv
from localize.formats.tools.slicer import write_slicer
from localize.formats.tools.via import write_via
from localize.formats.tools.voc import write_voc
from localize.formats.tools.yolo import write_yolo, write_yolo_darknet

FOLDER_FORMATS = (
    "voc",
    "yolo",
    "yolo-1.1",
    "labelme",
    "slicer",
    "dicom-sr",
    "dicom-gsps",
    "dicom-seg",
)

Exporter = Callable[[Annotations, Path, FormatOptions], None]

EXPORTERS: dict[str, Exporter] = {
    "coco": write_coco,
    "coco-results": write_coco_results,
    "v7-coco": write_v7_coco,
    "voc": write_voc,
    "yolo": write_yolo,
    "yolo-1.1": write_yolo_darknet,
    "label-studio": write_label_studio,
    "cvat": write_cvat,
    "labelme": write_labelme,
    "via": write_via,
    "rsna-csv": write_rsna_csv,
    "slicer": write_slicer,
    "dicom-sr": write_dicom_sr,
    "dicom-gsps": write_dicom_gsps,
    "dicom-seg": write_dicom_seg,
}


def export(
    annotations: Annotations,
    format_name: str,
    target: Path,
    *,
    options: FormatOptions | None = None,
    has_sidecar: bool = True,
) -> None:
    """Write films and boxes in a format, and `<target>.sidecar.csv` with all that is known of them.

    `target` is a file, or a new folder for the formats with many files (`FOLDER_FORMATS`). A failed
    export leaves nothing behind.

    Raises:
        ConfigError: no such format.
        DataError: the films or boxes cannot be written in it, or `target` is a folder where the
            format is a file.
    """
    exporter = EXPORTERS.get(format_name)
    if exporter is None:
        raise ConfigError(f"format: expected one of {', '.join(EXPORTERS)}, got {format_name!r}")
    if format_name not in FOLDER_FORMATS and target.is_dir():
        raise DataError(f"{target}: expected a file to write {format_name} into, got a folder")
    exporter(annotations, target, options or FormatOptions())
    if has_sidecar:
        write_sidecar(annotations, sidecar_path(target))
