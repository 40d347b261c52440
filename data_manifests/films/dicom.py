"""DICOM radiographs: the reading order that gives the grey levels a viewer shows, and refusals."""

from __future__ import annotations

import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.processing import apply_rescale, apply_voi_lut
from pydicom.uid import DeflatedExplicitVRLittleEndian

from data_manifests.films.read_film import MAX_PIXELS, check_size, film_error
from data_manifests.support.arrays import Bools, Floats, Floats32, Ints

# Projection radiographs, and what exporters of them write: secondary capture and "other".
PROJECTIONS = {"CR", "DX", "RG", "RF", "OT", "SC", "XC", ""}
CHEST_WORDS = ("CHEST", "THORAX", "LUNG", "RIB", "TORSO", "PORT CHEST")
# PS3.3 C.8.7.1.1.1 / C.8.11.5.1.1 View Position of lateral and oblique projections
LATERAL_VIEWS = {"LL", "RL", "LLD", "RLD", "LLO", "RLO", "LATERAL", "LAT"}

# Values that a refusal may repeat: defined terms. A sentence typed there may name a patient.
CODE = re.compile(r"[A-Z0-9_]{1,16}|PALETTE COLOR")
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")

# PS3.10 7.1: preamble, "DICM", and the group length element itself come before what it counts.
META_START = 128 + 4 + 12
BLOCK_BYTES = 1 << 20
MAX_INFLATED_BYTES = 2 * MAX_PIXELS + 16 * BLOCK_BYTES  # 16-bit pixels and a generous header


@dataclass(frozen=True)
class DicomHeader:
    """What a manifest takes from a DICOM header: size in pixels, view, sex (M, F), age in years.

    Text that the header does not have is blank. Nothing that names the patient is read.
    """

    width: int
    height: int
    view: str
    sex: str
    age: str


@contextmanager
def _without_warnings_of_values() -> Iterator[None]:
    """pydicom warns of malformed elements by repeating them, names and dates of birth included."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"pydicom\b")
        yield


@_without_warnings_of_values()
def dicom_header(path: Path) -> DicomHeader:
    """Size, view, sex and age from the header.

    Raises:
        DataError: as `dicom_size`.
    """
    header = _header(path)
    sex = str(header.get("PatientSex", "") or "").strip().upper()
    age = str(header.get("PatientAge", "") or "").strip().upper()
    return DicomHeader(
        width=int(header.Columns),
        height=int(header.Rows),
        view=str(header.get("ViewPosition", "") or "").strip().upper(),
        sex=sex if sex in ("M", "F") else "",
        # PS3.5 6.2 AS is nnnY; RSNA's challenge wrote bare years.
        age=age.removesuffix("Y").lstrip("0") if age.removesuffix("Y").isdigit() else "",
    )


@_without_warnings_of_values()
def dicom_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels from the header.

    Raises:
        DataError: not a DICOM image, or of a refused kind.
    """
    header = _header(path)
    return int(header.Columns), int(header.Rows)


@_without_warnings_of_values()
def read_dicom_film(path: Path) -> tuple[Floats32, tuple[str, ...]]:
    """Grey levels in [0, 1], float32 (H, W), and notes about the file.

    Order: modality rescale, VOI LUT or window, inversion of MONOCHROME1 about the range that came
    out (PS3.4 N.2 says the modality step precedes windowing).

    Raises:
        DataError: not a DICOM file, colour, several frames, not a frontal chest radiograph,
            burned-in annotation, truncated or undecodable pixels.
    """
    header = _header(path)
    notes = []
    burned_in = str(header.get("BurnedInAnnotation", "")).upper()
    if burned_in == "YES":
        raise film_error(
            path,
            "BurnedInAnnotation NO",
            "YES",
            "text in the pixels can name a patient; mask it and set the flag to NO",
            "(0028,0301) Burned In Annotation",
        )
    if not burned_in and str(header.get("Modality", "")) not in ("CR", "DX"):
        notes.append("no (0028,0301) Burned In Annotation: look for text in the pixels")
    try:
        dataset = pydicom.dcmread(path)
        levels = dataset.pixel_array
    except (  # what pydicom and its decoders raise for pixels that they cannot decode
        ValueError,
        RuntimeError,
        AttributeError,
        NotImplementedError,
        EOFError,
        zlib.error,
    ) as error:
        syntax = getattr(header.file_meta, "TransferSyntaxUID", None)
        name = getattr(syntax, "name", "unknown transfer syntax")
        raise film_error(
            path,
            "complete pixel data that can be decoded",
            f"{name}: {_first_line(error)}",
            "compressed files need `pip install pneumoloc[dicom]`",
            "(7FE0,0010) Pixel Data",
        ) from error
    try:
        values = apply_rescale(levels, dataset)
        if dataset.get("VOILUTSequence"):
            values = _clipped_to_lut(values, dataset)
        values = apply_voi_lut(values, dataset, index=0, prefer_lut=True)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        got = f"{type(error).__name__}: {_first_line(error)}"
        raise film_error(path, "a usable rescale, window or VOI LUT", got) from error
    values = values.astype(np.float32)
    is_padding = _padding(levels, dataset)
    shown = values[~is_padding] if is_padding.any() and not is_padding.all() else values
    low, high = float(shown.min()), float(shown.max())
    if not np.isfinite([low, high]).all():
        raise film_error(path, "finite grey levels", f"{low} to {high}")
    # A constant film has no range; it becomes black, and the film guard speaks of it.
    pixels = np.clip((values - low) / np.float32(high - low or 1.0), 0, 1)
    if header.PhotometricInterpretation == "MONOCHROME1":
        pixels = 1 - pixels
    pixels[is_padding] = 0
    return pixels.astype(np.float32), tuple(notes)


def _clipped_to_lut(values: Floats, dataset: pydicom.Dataset) -> Ints:
    """Levels inside the VOI LUT's input range (PS3.3 C.11.2.1.1), as whole numbers.

    pydicom 3.0 indexes the table with numbers of the table's own depth, so that levels above 255
    wrap round in an 8-bit table; declaring 16 bits, which changes no entry, avoids that.
    """
    item = dataset.VOILUTSequence[0]
    count, first, depth = (int(number) for number in item.LUTDescriptor)
    if depth != 8 and not 10 <= depth <= 16:
        raise ValueError(f"{depth} bits per entry of the VOI LUT")
    count = count or 2**16
    item.LUTDescriptor = [item.LUTDescriptor[0], first, 16]
    return np.clip(np.rint(values), first, first + count - 1).astype(np.int64)


def _padding(levels: Ints, dataset: pydicom.Dataset) -> Bools:
    """Pixels that are padding around the film (PS3.3 C.7.5.1.1.2), not grey levels of it."""
    if dataset.get("PixelPaddingValue") is None:
        return np.zeros(levels.shape, dtype=bool)
    first = int(dataset.PixelPaddingValue)
    last = int(dataset.get("PixelPaddingRangeLimit", first))
    padding: Bools = (levels >= min(first, last)) & (levels <= max(first, last))
    return padding


def _refuse_deflated_bomb(path: Path, meta_length: int) -> None:
    """Refuse a deflated file that unpacks to more than any film, without keeping what it unpacks.

    `dcmread` inflates the whole file before it looks at the first element.
    """
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    total = 0
    with path.open("rb") as handle:
        handle.seek(META_START + meta_length)
        packed = handle.read(BLOCK_BYTES)
        while packed and not inflater.eof:
            total += len(inflater.decompress(packed, BLOCK_BYTES))
            if total > MAX_INFLATED_BYTES:
                raise film_error(
                    path,
                    f"at most {MAX_INFLATED_BYTES:,} bytes after inflating",
                    "a decompression bomb",
                    field="(0002,0010) Transfer Syntax UID",
                )
            packed = inflater.unconsumed_tail or handle.read(BLOCK_BYTES)


def _first_line(error: Exception) -> str:
    """What a library says went wrong, without the values that it quotes; never empty, never a page
    of it."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return QUOTED.sub("'...'", line)[:160]


def _shown(value: str) -> str:
    """A coded value; of free text its length alone."""
    if CODE.fullmatch(value):
        return value
    return f"free text of {len(value)} letters" if value else "no value"


def _header(path: Path) -> pydicom.Dataset:
    try:
        meta = read_file_meta_info(path)
        if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            _refuse_deflated_bomb(path, int(meta.FileMetaInformationGroupLength))
        header = pydicom.dcmread(path, stop_before_pixels=True)
    except (
        InvalidDicomError,
        ValueError,
        EOFError,
        AttributeError,
        KeyError,
        TypeError,
        zlib.error,
    ) as error:
        raise film_error(path, "a DICOM file", _first_line(error)) from error
    if "Rows" not in header or "Columns" not in header:
        raise film_error(path, "a DICOM image", "no (0028,0010) Rows or (0028,0011) Columns")
    _refuse_other_kinds(path, header)
    check_size(path, int(header.Columns), int(header.Rows))
    return header


def _refuse_other_kinds(path: Path, header: pydicom.Dataset) -> None:
    """Refuse what is not one monochrome frontal chest radiograph, each with its tag."""
    modality = str(header.get("Modality", "") or "")
    if modality not in PROJECTIONS:
        raise film_error(
            path, "a projection radiograph (CR, DX)", _shown(modality), field="(0008,0060) Modality"
        )
    if "PhotometricInterpretation" not in header or header.PhotometricInterpretation not in (
        "MONOCHROME1",
        "MONOCHROME2",
    ):
        raise film_error(
            path,
            "MONOCHROME1 or MONOCHROME2",
            _shown(str(header.get("PhotometricInterpretation", "") or "")),
            field="(0028,0004) Photometric Interpretation",
        )
    frames = int(header.get("NumberOfFrames", 1) or 1)
    if frames != 1:
        raise film_error(path, "one frame", str(frames), field="(0028,0008) Number of Frames")
    part = str(header.get("BodyPartExamined", "") or "").upper()
    if part and not any(word in part for word in CHEST_WORDS):
        raise film_error(path, "CHEST", _shown(part), field="(0018,0015) Body Part Examined")
    view = str(header.get("ViewPosition", "") or "").upper()
    if view in LATERAL_VIEWS:
        raise film_error(path, "a frontal view (AP, PA)", view, field="(0018,5101) View Position")
