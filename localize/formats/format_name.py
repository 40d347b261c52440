"""`ExportFormat`, `ImportFormat`: the names of the annotation formats, for the command line."""

from __future__ import annotations

from enum import StrEnum


class ExportFormat(StrEnum):
    """The formats that `pneumoloc export` writes."""

    COCO = "coco"
    COCO_RESULTS = "coco-results"
    V7_COCO = "v7-coco"
    VOC = "voc"
    YOLO = "yolo"
    YOLO_DARKNET = "yolo-1.1"
    LABEL_STUDIO = "label-studio"
    CVAT = "cvat"
    LABELME = "labelme"
    VIA = "via"
    RSNA_CSV = "rsna-csv"
    SLICER = "slicer"
    PNG = "png"
    DICOM_SR = "dicom-sr"
    DICOM_GSPS = "dicom-gsps"
    DICOM_SEG = "dicom-seg"


class ImportFormat(StrEnum):
    """The formats that `pneumoloc import-boxes` reads."""

    COCO = "coco"
    V7_COCO = "v7-coco"
    VOC = "voc"
    VOC_ONE_BASED = "voc-one-based"
    YOLO = "yolo"
    YOLO_DARKNET = "yolo-1.1"
    LABEL_STUDIO = "label-studio"
    CVAT = "cvat"
    LABELME = "labelme"
    VIA = "via"
    RSNA_CSV = "rsna-csv"
    DICOM_SR = "dicom-sr"
