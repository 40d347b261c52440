"""`dicom_targets`: the DICOM films that objects are written about, without what names the patient.

Needs the `dicom` extra (highdicom).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import generate_uid

from data_manifests.support.errors import ConfigError, DataError, Problem
from localize.formats.dicom import codes
from localize.formats.hub.annotations import Annotations, FilmAnnotation
from localize.formats.hub.film_names import film_file
from localize.formats.hub.format_options import FormatOptions

# What the objects need of the film: references, geometry and grey scale. All else, names and dates
# first, stays out.
KEPT = (
    "SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID Modality "
    "Rows Columns SamplesPerPixel PhotometricInterpretation BitsAllocated BitsStored HighBit "
    "PixelRepresentation PixelSpacing ImagerPixelSpacing RescaleSlope RescaleIntercept RescaleType "
    "ModalityLUTSequence VOILUTSequence WindowCenter WindowWidth VOILUTFunction "
    "PresentationLUTShape SpecificCharacterSet PatientOrientation Laterality ImageLaterality"
).split()
REQUIRED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
# Attributes that must be present in a DICOM object, if only empty (type 2).
PATIENT = (
    "PatientName PatientID PatientBirthDate PatientSex AccessionNumber StudyID StudyDate StudyTime "
    "ReferringPhysicianName"
).split()
# dcmtk refuses a presentation state whose patient has no name.
NO_NAME = "Anonymous^"
TEXT_VRS = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")  # PS3.5 6.1.2.3
# Latin 1, then UTF-8, which holds everything but is refused by dcmpschk.
CHARACTER_SETS = ("ISO_IR 100", "ISO_IR 192")
SERIES_DESCRIPTION = "pneumonia boxes, research only"
MANUFACTURER = "pneumoloc"
DEVICE_UID = generate_uid(entropy_srcs=["pneumoloc"])


@dataclass(frozen=True)
class DicomTarget:
    """One film with its reduced header, and the identity of the object that is written about it.

    Args:
        film: the film with its boxes.
        header: the film's header, reduced to `KEPT` and `PATIENT`.
        model: name of the model in at most 64 characters.
        series_uid: depends on the film's study, the model and the kind of object.
        instance_uid: depends on the film and on all that is written: the same export twice gives
            the same object.
        number: from 1 on.
    """

    film: FilmAnnotation
    header: pydicom.Dataset
    model: str
    series_uid: str
    instance_uid: str
    number: int

    def part_uid(self, part: str) -> str:
        """A UID for a part of the object, the same in each export."""
        return part_uid(self.instance_uid, part)


def part_uid(instance_uid: str, part: str) -> str:
    """A UID for a part of an object, the same in each export."""
    return str(generate_uid(entropy_srcs=[instance_uid, part]))


def dicom_targets(
    annotations: Annotations, kind: str, options: FormatOptions
) -> Iterator[DicomTarget]:
    """Every film with its header.

    Raises:
        DataError: a film that is no DICOM file, has another size, or lacks its UIDs.
    """
    model = codes.plain_text(annotations.model or MANUFACTURER, 64)
    for number, film in enumerate(annotations, start=1):
        header = source_header(film, options)
        identity = [kind, model, str(options.keep_patient)]
        content = [
            film.xyxy.tobytes().hex(),
            film.scores.tobytes().hex(),
            repr((film.labels, film.keywords, film.p_pneumonia, film.severity)),
            *(str(header[name].value) for name in PATIENT),
            *(film.sentences if any(film.sentences) else ()),
        ]
        yield DicomTarget(
            film=film,
            header=header,
            model=model,
            series_uid=generate_uid(entropy_srcs=[*identity, str(header.StudyInstanceUID)]),
            instance_uid=generate_uid(
                entropy_srcs=[*identity, str(header.SOPInstanceUID), *content]
            ),
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
    return reduced_header(whole, KEPT, keep_patient=options.keep_patient)


def reduced_header(
    whole: pydicom.Dataset, kept: Sequence[str], *, keep_patient: bool
) -> pydicom.Dataset:
    """The attributes `kept` of a header; those of the patient are empty unless `keep_patient`."""
    header = pydicom.Dataset()
    header.file_meta = whole.file_meta
    for name in kept:
        if name in whole:
            header[name] = whole[name]
    for name in PATIENT:
        # As text: a name keeps the bytes of its own character set otherwise.
        setattr(header, name, str(whole.get(name) or "") if keep_patient else "")
    if not header.PatientName:
        header.PatientName = NO_NAME
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


def save(dataset: pydicom.Dataset, item: DicomTarget, path: Path) -> None:
    """Finish a DICOM object and write it into a folder that is renamed as a whole later."""
    save_object(dataset, item.header, path, SERIES_DESCRIPTION)


def save_object(
    dataset: pydicom.Dataset, header: pydicom.Dataset, path: Path, series_description: str
) -> None:
    """Write an object about a source `header`, with a character set that holds its text.

    UIDs that highdicom draws at random are derived from the object's own.
    """
    dataset.SeriesDescription = series_description
    character_set = _character_set(dataset, header)
    if character_set:
        dataset.SpecificCharacterSet = character_set
    for holder in _holders_of_dimensions(dataset):
        holder.DimensionOrganizationUID = part_uid(str(dataset.SOPInstanceUID), "dimensions")
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def _character_set(dataset: pydicom.Dataset, header: pydicom.Dataset) -> str:
    """The first set that holds all text of an object: the film's own, Latin 1, UTF-8.

    "" for the default, ASCII.
    """
    texts: list[str] = []

    def collect(_: pydicom.Dataset, element: pydicom.DataElement) -> None:
        if element.VR in TEXT_VRS:
            texts.append(str(element.value))

    dataset.walk(collect)
    text = "".join(texts)
    own = header.get("SpecificCharacterSet")
    for name in ("", own if isinstance(own, str) else "", *CHARACTER_SETS):
        codec = pydicom.charset.python_encoding.get(name, "")
        try:
            text.encode("ascii" if name == "" else codec)
        except (UnicodeEncodeError, LookupError):
            continue
        return name
    return CHARACTER_SETS[-1]


def _holders_of_dimensions(dataset: pydicom.Dataset) -> list[pydicom.Dataset]:
    """The items with the dimension organization's UID, which highdicom draws at random."""
    sequences = ("DimensionOrganizationSequence", "DimensionIndexSequence")
    return [item for name in sequences for item in dataset.get(name) or ()]


def _error(film: FilmAnnotation, expected: str, got: str, fix: str) -> DataError:
    name = film.image_id or film.name
    return DataError.from_problems([Problem(f"film {name!r}", expected, got, fix=fix)])
