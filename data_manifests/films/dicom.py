"""DICOM radiographs: the reading order that gives the grey levels a viewer shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.encaps import get_frame
from pydicom.multival import MultiValue
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_rescale, apply_voi_lut
from pydicom.uid import JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

from data_manifests.films.codestream import codestream_size
from data_manifests.films.dicom_header import (
    age_years,
    dicom_errors,
    header_notes,
    image_size,
    read_header,
    tag_name,
    text,
    whole_number,
)
from data_manifests.films.read_film import film_error
from data_manifests.support.arrays import Bools, Floats, Floats32, Ints

WITH_OWN_SIZE = {*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes}
WINDOW = ("WindowCenter", "WindowWidth")


@dataclass(frozen=True)
class DicomHeader:
    """What a manifest takes from a DICOM header: size in pixels, view, sex (M, F), age in years.

    Text that the header does not have is blank. Nothing that names the patient is read. `notes` are
    those of `Film`.
    """

    width: int
    height: int
    view: str
    sex: str
    age: str
    notes: tuple[str, ...] = ()


def dicom_header(path: Path) -> DicomHeader:
    """Size, view, sex and age from the header.

    Raises:
        DataError: as `dicom_size`.
    """
    header = read_header(path)
    width, height = image_size(path, header)
    sex = text(path, header, "PatientSex")
    return DicomHeader(
        width=width,
        height=height,
        view=text(path, header, "ViewPosition"),
        sex=sex if sex in ("M", "F") else "",
        age=age_years(path, header),
        notes=tuple(header_notes(path, header)),
    )


def dicom_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels from the header.

    Raises:
        DataError: not a DICOM image, or of a refused kind.
    """
    return image_size(path, read_header(path))


def read_dicom_film(path: Path) -> tuple[Floats32, tuple[str, ...]]:
    """Grey levels in [0, 1], float32 (H, W), and notes about the file.

    Order: modality rescale, VOI LUT or window, inversion about the range that came out (PS3.4 N.2).
    A Presentation LUT Shape decides on the inversion where there is one (PS3.3 C.11.6), else
    MONOCHROME1, as dcmtk and Weasis do.

    Raises:
        DataError: not a DICOM file, colour, several frames, not a frontal chest radiograph,
            burned-in annotation, truncated or undecodable pixels.
    """
    header = read_header(path)
    dataset, levels = _decoded(path, header)
    with dicom_errors(path, "a usable rescale, window or VOI LUT"):
        values = _display_values(levels, dataset).astype(np.float32)
    is_padding = _padding(path, levels, dataset)
    inside = values[~is_padding] if is_padding.any() and not is_padding.all() else values
    low, high = float(inside.min()), float(inside.max())
    if not np.isfinite([low, high]).all():
        raise film_error(path, "finite grey levels", f"{low} to {high}")
    # A constant film has no range; it becomes black, and the film guard speaks of it.
    pixels = np.clip((values - low) / np.float32(high - low or 1.0), 0, 1)
    shape = text(path, header, "PresentationLUTShape")
    is_monochrome1 = text(path, header, "PhotometricInterpretation") == "MONOCHROME1"
    if shape == "INVERSE" if shape in ("INVERSE", "IDENTITY") else is_monochrome1:
        pixels = 1 - pixels
    pixels[is_padding] = 0
    return pixels.astype(np.float32), tuple(header_notes(path, header))


def _decoded(path: Path, header: pydicom.Dataset) -> tuple[pydicom.Dataset, Ints]:
    """The whole file and its stored levels (H, W)."""
    syntax = getattr(header.file_meta, "TransferSyntaxUID", None)
    expected = "complete pixel data that can be decoded"
    with dicom_errors(
        path,
        f"{expected} ({getattr(syntax, 'name', 'unknown transfer syntax')})",
        "compressed files need `pip install pneumoloc[dicom]`",
        tag_name("PixelData"),
    ):
        dataset = pydicom.dcmread(path)
        width, height = image_size(path, header)
        samples = whole_number(path, header, "SamplesPerPixel", 1)
        bits = whole_number(path, header, "BitsAllocated")
        if samples != 1 or bits not in (8, 16, 32):
            got = f"{samples} samples of {bits} bits"
            raise film_error(path, "one sample of 8, 16 or 32 bits a pixel", got)
        if syntax in WITH_OWN_SIZE and get_decoder(syntax).is_available:
            own = codestream_size(get_frame(dataset.PixelData, 0, number_of_frames=1))
            got = "none" if own is None else f"{own.width} x {own.height} x {own.samples}"
            if got != f"{width} x {height} x 1":
                raise film_error(
                    path,
                    f"a compressed image of {width} x {height} x 1 as in the header",
                    got,
                    field=tag_name("PixelData"),
                )
        levels = np.asarray(dataset.pixel_array)
        if levels.shape != (height, width):
            raise film_error(path, f"{width} x {height} pixels", f"shape {levels.shape}")
    return dataset, levels


def _display_values(levels: Ints, dataset: pydicom.Dataset) -> Floats:
    """Levels after the modality rescale and the VOI LUT or window; larger is brighter, for
    MONOCHROME2."""
    for keyword in WINDOW:
        value = dataset.get(keyword)
        if value == "" or (isinstance(value, MultiValue | list) and len(value) == 0):
            delattr(dataset, keyword)  # empty is the same as missing (type 1C, often written blank)
    values = apply_rescale(levels, dataset)
    has_lut = bool(dataset.get("VOILUTSequence"))
    if has_lut:
        values = _clipped_to_lut(values, dataset)
    values = apply_voi_lut(values, dataset, index=0, prefer_lut=True)
    is_windowed = not has_lut and all(dataset.get(keyword) is not None for keyword in WINDOW)
    if is_windowed and float(dataset.get("RescaleSlope") or 1) < 0:
        # pydicom 3.0 rescales the ends of its output range too, so that a negative slope turns the
        # window's result upside down.
        values = -values
    return np.asarray(values)


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


def _padding(path: Path, levels: Ints, dataset: pydicom.Dataset) -> Bools:
    """Pixels that are padding around the film (PS3.3 C.7.5.1.1.2), not grey levels of it."""
    if dataset.get("PixelPaddingValue") is None:
        return np.zeros(levels.shape, dtype=bool)
    first = whole_number(path, dataset, "PixelPaddingValue")
    last = whole_number(path, dataset, "PixelPaddingRangeLimit", first)
    padding: Bools = (levels >= min(first, last)) & (levels <= max(first, last))
    return padding
