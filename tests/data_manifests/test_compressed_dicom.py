"""Compressed transfer syntaxes of the `dicom` extra: the same levels as without compression."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from data_manifests.films.read_film import film_size, read_film
from data_manifests.support.errors import DataError
from tests.data_manifests.film_files import ramp, write_dicom

pytest.importorskip("openjpeg")
pytest.importorskip("jpeg_ls")

LOSSLESS = {"RLE": RLELossless, "JPEG 2000": JPEG2000Lossless, "JPEG-LS": JPEGLSLossless}
DEPTHS = {"8 bit": 8, "12 bit in 16": 12, "16 bit": 16}


def write_compressed(path: Path, syntax: UID, bits: int = 12, **tags: object) -> Path:
    """A ramp over all levels of `bits`, compressed without loss."""
    allocated = 8 if bits == 8 else 16
    levels = ramp(top=2**bits - 1)
    depth = {"BitsAllocated": allocated, "BitsStored": bits, "HighBit": bits - 1}
    write_dicom(path, levels, **{**depth, **tags})
    dataset = pydicom.dcmread(path)
    dataset.compress(syntax)
    dataset.save_as(path)
    return path


@pytest.mark.parametrize("name", LOSSLESS)
@pytest.mark.parametrize("depth", DEPTHS)
def test_lossless_syntaxes_give_the_very_levels(tmp_path: Path, name: str, depth: str) -> None:
    bits = DEPTHS[depth]
    path = write_compressed(tmp_path / "a.dcm", LOSSLESS[name], bits)
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == LOSSLESS[name]
    expected = ramp(top=2**bits - 1) / (2**bits - 1)
    np.testing.assert_allclose(read_film(path).pixels, expected, atol=1e-6)
    assert film_size(path) == (48, 32)


@pytest.mark.parametrize("name", LOSSLESS)
def test_a_compressed_inverted_film_with_a_window_is_shown_as_an_uncompressed_one(
    tmp_path: Path, name: str
) -> None:
    tags = {
        "PhotometricInterpretation": "MONOCHROME1",
        "WindowCenter": "2000",
        "WindowWidth": "1001",
        "RescaleSlope": "1",
        "RescaleIntercept": "-100",
    }
    plain = write_dicom(tmp_path / "plain.dcm", ramp(top=4095), BitsStored=12, HighBit=11, **tags)
    path = write_compressed(tmp_path / "a.dcm", LOSSLESS[name], **tags)
    np.testing.assert_array_equal(read_film(path).pixels, read_film(plain).pixels)


def test_baseline_jpeg_is_near_the_original(tmp_path: Path) -> None:
    levels = np.kron(ramp(8, 12), np.ones((16, 16), int))
    packed = io.BytesIO()
    Image.fromarray(levels.astype(np.uint8)).save(packed, "JPEG", quality=95)
    path = write_dicom(tmp_path / "a.dcm", levels, BitsAllocated=8, BitsStored=8, HighBit=7)
    dataset = pydicom.dcmread(path)
    dataset.PixelData = encapsulate([packed.getvalue()])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.save_as(path)
    np.testing.assert_allclose(read_film(path).pixels, levels / 255, atol=0.03)


@pytest.mark.faults
@pytest.mark.parametrize("name", LOSSLESS)
def test_cut_compressed_data_is_an_error_that_names_the_syntax(tmp_path: Path, name: str) -> None:
    path = write_compressed(tmp_path / "a.dcm", LOSSLESS[name])
    dataset = pydicom.dcmread(path)
    whole = next(iter(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1)))
    dataset.PixelData = encapsulate([whole[: len(whole) // 3]])
    dataset.save_as(path)
    with pytest.raises(DataError, match=r"\(7FE0,0010\) Pixel Data"):
        read_film(path)


def test_a_syntax_without_decoder_says_what_to_install(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm")
    dataset = pydicom.dcmread(path)
    dataset.PixelData = encapsulate([b"\0" * 64])
    dataset.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.57")  # JPEG lossless, process 14
    dataset.save_as(path)
    with pytest.raises(DataError, match=r"pip install pneumoloc\[dicom\]"):
        read_film(path)
