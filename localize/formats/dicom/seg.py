"""DICOM segmentations: every box as a filled binary segment of its own. Needs highdicom.

Corners are rounded to whole pixels, and scores are in the segment's label only. A segmentation
needs a segment (PS3.3 C.8.20.2), so films without boxes have no file: the sidecar lists them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from localize.formats.dicom import codes
from localize.formats.dicom.gsps import caption
from localize.formats.dicom.source import (
    MANUFACTURER,
    DicomTarget,
    dicom_targets,
    require_highdicom,
    save,
)
from localize.formats.hub.annotations import Annotations
from localize.formats.hub.film_names import SafeNames
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.writing import atomic_folder, whole_corners

if TYPE_CHECKING:
    import highdicom as hd

SERIES_NUMBER = 9003


def write_dicom_seg(annotations: Annotations, target: Path, options: FormatOptions) -> None:
    """Write one segmentation for each film with boxes.

    Raises:
        ConfigError: highdicom is not installed.
        DataError: as `dicom_targets`; `target` holds something already.
    """
    require_highdicom()
    names = SafeNames(annotations.film_names())
    with atomic_folder(target) as folder:
        for item in dicom_targets(annotations, "seg", options):
            if len(item.film):
                save(_segmentation(item), item, folder / f"{names.of(item.film.name)}.dcm")


def _segmentation(item: DicomTarget) -> hd.seg.Segmentation:
    import highdicom as hd

    film = item.film
    mask = np.zeros((1, film.height, film.width, len(film)), dtype=np.uint8)
    for place, corners in enumerate(film.xyxy.tolist()):
        x1, y1, x2, y2 = whole_corners(corners)
        mask[0, y1:y2, x1:x2, place] = 1
    algorithm = hd.AlgorithmIdentificationSequence(
        name=MANUFACTURER,
        family=hd.sr.CodedConcept("123109", "DCM", "Artificial Intelligence"),
        version=codes.plain_text(item.model, 64),
    )
    segments = [
        hd.seg.SegmentDescription(
            segment_number=place + 1,
            segment_label=caption(film, place)[:64],
            segmented_property_category=codes.ABNORMAL,
            segmented_property_type=codes.label_code(film.labels[place]),
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        for place in range(len(film))
    ]
    segmentation = hd.seg.Segmentation(
        source_images=[item.header],
        pixel_array=mask,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=item.series_uid,
        series_number=SERIES_NUMBER,
        sop_instance_uid=item.instance_uid,
        instance_number=item.number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=codes.plain_text(item.model, 64),
        software_versions=codes.plain_text(item.model, 64),
        device_serial_number="0",
        content_label="PNEUMONIA BOXES",
    )
    # Required for an image without a place in the patient, and empty where the film has none.
    segmentation.PatientOrientation = item.header.get("PatientOrientation") or ""
    return segmentation
