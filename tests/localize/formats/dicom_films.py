"""DICOM radiographs for the tests of DICOM exports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

# Marks of a patient that must not get into any export.
CANARIES = ("CANARY^NAME", "CANARY-ID", "19010203", "CANARY-ACC", "CANARY HOSPITAL", "CANARY^DOC")


def write_dicom_film(path: Path, *, uid="1.2.3.4.5", width=512, height=640) -> None:
    """A digital radiograph of zeros with a patient, spacing 0.2 x 0.25 mm (rows, columns)."""
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.4", "1.2.3.4.1"
    dataset.Modality = "DX"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = CANARIES[:3]
    dataset.AccessionNumber, dataset.InstitutionName = CANARIES[3:5]
    dataset.ReferringPhysicianName = CANARIES[5]
    dataset.PatientSex = "F"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20260101", "101112", "7"
    dataset.Rows, dataset.Columns = height, width
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.ImagerPixelSpacing = [0.2, 0.25]
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, 0, "US"
    dataset.WindowCenter, dataset.WindowWidth = 2000, 3000
    dataset.PixelData = np.zeros((height, width), np.uint16).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
