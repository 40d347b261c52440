"""Small film files of every kind, made with Pillow and pydicom."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from data_manifests.support.arrays import Ints


def ramp(height: int = 32, width: int = 48, top: int = 255) -> Ints:
    """Grey levels 0 to `top`, rising to the right and down; no two rows or columns are equal."""
    levels = np.arange(height * width).reshape(height, width) / (height * width - 1) * top
    return np.round(levels).astype(np.int64)


def write_png(path: Path, levels: NDArray[Any] | None = None, mode: str = "L") -> Path:
    """A PNG of `levels` in a Pillow mode; `I;16` is 16-bit grey."""
    levels = ramp() if levels is None else levels
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == "I;16":
        Image.fromarray(levels.astype(np.uint16)).save(path)
    else:
        Image.fromarray(levels.astype(np.uint8)).convert(mode).save(path)
    return path


def write_jpeg(path: Path, levels: NDArray[Any] | None = None, **options: Any) -> Path:
    """A grey JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = ramp() if levels is None else levels
    Image.fromarray(levels.astype(np.uint8)).save(path, quality=95, **options)
    return path


def write_dicom(path: Path, levels: NDArray[Any] | None = None, **tags: Any) -> Path:
    """A DICOM projection radiograph; `tags` set or (None) remove elements."""
    levels = ramp() if levels is None else levels
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.Modality = "DX"
    dataset.BodyPartExamined = "CHEST"
    dataset.ViewPosition = "PA"
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BurnedInAnnotation = "NO"
    dataset.SamplesPerPixel = 1
    signed = bool(levels.min() < 0)
    dataset.Rows, dataset.Columns = levels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = int(signed)
    for name, value in tags.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    bits = dataset.BitsAllocated
    dtype = f"{'i' if signed else 'u'}{bits // 8}"
    dataset.PixelData = levels.astype(f"<{dtype}").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def write_png_header(path: Path, width: int, height: int) -> Path:
    """A PNG whose header claims a size; its data is a few zero rows only: a bomb's first half."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(b"\0" * (width + 1) * 3)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )
    return path
