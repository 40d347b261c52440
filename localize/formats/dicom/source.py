"""The DICOM film that a DICOM export refers to, without what names the patient.

Needs the `dicom` extra (highdicom).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import generate_uid

from data_manifests.support.errors import ConfigError, DataError, Problem
from localize.formats.hub.annotations import Annotations, FilmAnnotation
from localize.formats.hub.film_names import film_file
from localize.formats.hub.format_options import FormatOptions

# What the objects that we write need of the film: references, geometry and the grey scale that a
# presentation state would otherwise switch off. Everything else, names and dates first, stays out.
KEPT = (
    "SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID Modality "
    "Rows Columns SamplesPerPixel PhotometricInterpretation BitsAllocated BitsStored HighBit "
    "PixelRepresentation PixelSpacing ImagerPixelSpacing RescaleSlope RescaleIntercept RescaleType "
    "ModalityLUTSequence VOILUTSequence WindowCenter WindowWidth VOILUTFunction "
    "PresentationLUTShape"
).split()
REQUIRED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
# Attributes that must be present in a DICOM object, if only empty (type 2).
PATIENT = (
    "PatientName PatientID PatientBirthDate PatientSex AccessionNumber StudyID StudyDate StudyTime "
    "ReferringPhysicianName"
).split()
MANUFACTURER = "pneumoloc"
DEVICE_UID = generate_uid(entropy_srcs=["pneumoloc"])


@dataclass(frozen=True)
class DicomTarget:
    """One film with its reduced header, and the identity of the object that is written about it.

    `model` fits DICOM's 64 characters; the UIDs depend on the film, the model and the boxes only:
    the same export twice is the same object.
    """

    film: FilmAnnotation
    header: pydicom.Dataset
    model: str
    series_uid: str
    instance_uid: str
    number: int


def dicom_targets(
    annotations: Annotations, kind: str, options: FormatOptions
) -> Iterator[DicomTarget]:
    """Every film with its header.

    Raises:
        DataError: a film that is no DICOM file, has another size, or lacks its UIDs.
    """
    model = " ".join(annotations.model.split())[:64] or MANUFACTURER
    for number, film in enumerate(annotations, start=1):
        header = source_header(film, options)
        identity = [kind, model, str(header.SOPInstanceUID)]
        content = [film.xyxy.tobytes().hex(), film.scores.tobytes().hex(), *film.labels]
        yield DicomTarget(
            film=film,
            header=header,
            model=model,
            series_uid=generate_uid(entropy_srcs=[*identity[:2], str(header.StudyInstanceUID)]),
            instance_uid=generate_uid(entropy_srcs=identity + content),
            number=number,
        )


def source_header(film: FilmAnnotation, options: FormatOptions) -> pydicom.Dataset:
    """The header of a film's file, reduced to `KEPT`; patient attributes are empty.

    Raises:
        DataError: as `dicom_targets`.
    """
    path = film_file(film.name, film.path, options.image_root)
    try:
        whole = pydicom.dcmread(path, stop_before_pixels=True)
    except (InvalidDicomError, ValueError, OSError) as error:
        raise _error(
            film, "a DICOM file", f"{type(error).__name__}", "use another format"
        ) from error
    missing = [name for name in REQUIRED if not whole.get(name)]
    if missing:
        raise _error(film, "a film with its UIDs", f"no {', '.join(missing)}", "")
    size = (whole.get("Columns"), whole.get("Rows"))
    if size != (film.width, film.height):
        raise _error(film, f"{film.width} x {film.height} px as predicted", f"{size}", "")
    header = pydicom.Dataset()
    header.file_meta = whole.file_meta
    for name in KEPT:
        if name in whole:
            header[name] = whole[name]
    for name in PATIENT:
        setattr(header, name, whole.get(name, "") if options.keep_patient else "")
    return header


def require_highdicom() -> None:
    """Say how to get highdicom where it is not installed.

    Raises:
        ConfigError: it is not.
    """
    try:
        importlib.metadata.version("highdicom")
    except importlib.metadata.PackageNotFoundError as error:
        raise ConfigError("DICOM objects need highdicom: pip install pneumoloc[dicom]") from error


def save(dataset: pydicom.Dataset, path: Path) -> None:
    """Write a DICOM object into a folder that is renamed as a whole later."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def _error(film: FilmAnnotation, expected: str, got: str, fix: str) -> DataError:
    name = film.image_id or film.name
    return DataError.from_problems([Problem(f"film {name!r}", expected, got, fix=fix)])
