"""`write_segmentation`: a mask on the slices of a CT series as a DICOM SEG. Needs highdicom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.uid import generate_uid

from data_manifests.support.arrays import Bools
from data_manifests.support.atomic import atomic_path
from data_manifests.volumes.dicom_series import Slice
from localize.formats.dicom import codes
from localize.formats.dicom.source import (
    KEPT,
    MANUFACTURER,
    reduced_header,
    require_highdicom,
    save_object,
)

SERIES_NUMBER = 9004
KEPT_OF_CT = (*KEPT, "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness")


def write_segmentation(path: Path, mask: Bools, slices: list[Slice], label: str) -> None:
    """Write a binary segment (PS3.3 A.51) about the slices that hold it.

    `mask` is (column, row, slice) in the order of `sorted_slices`. Patient attributes are empty.
    The same mask gives the same object.

    Raises:
        ValueError: an empty mask; a segmentation needs a segment (PS3.3 C.8.20.2).
        ConfigError: highdicom is not installed.
    """
    require_highdicom()
    import highdicom as hd

    if not mask.any():
        raise ValueError("mask must hold a voxel, but got an empty one")
    headers = [reduced_header(item.header, KEPT_OF_CT, keep_patient=False) for item in slices]
    first = headers[0]
    study = str(first.StudyInstanceUID)
    description = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label=codes.plain_text(label, 64),
        segmented_property_category=codes.ABNORMAL,
        segmented_property_type=codes.private_code(label),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=MANUFACTURER,
            family=hd.sr.CodedConcept("123109", "DCM", "Artificial Intelligence"),
            version="volumes",
        ),
    )
    segmentation = hd.seg.Segmentation(
        source_images=headers,
        pixel_array=np.ascontiguousarray(mask.transpose(2, 1, 0)).astype(np.uint8),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[description],
        series_instance_uid=generate_uid(entropy_srcs=["volume-seg", study, label]),
        series_number=SERIES_NUMBER,
        sop_instance_uid=generate_uid(
            entropy_srcs=["volume-seg", study, label, np.packbits(mask).tobytes().hex()]
        ),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name="volumes",
        software_versions="volumes",
        device_serial_number="0",
        content_label="ANOMALY",
    )
    with atomic_path(path) as temporary:
        save_object(segmentation, first, temporary, "anomalies, research only")
