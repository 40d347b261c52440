"""Radiographs in every encoding of grey levels, and dcmtk's rendering of them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

HEIGHT, WIDTH = 96, 80
WINDOW = {"WindowCenter": 2200, "WindowWidth": 2600}


def rescale(slope, intercept):
    return {"RescaleSlope": slope, "RescaleIntercept": intercept, "RescaleType": "US"}


def table(entries, first, bits, *, power=2.0):
    """A lookup table that bends the grey scale."""
    item = Dataset()
    levels = (np.arange(entries) / (entries - 1)) ** power * (2**bits - 1)
    item.add_new("LUTDescriptor", "US", [entries, first, bits])
    item.add_new("LUTData", "OW", np.round(levels).astype("<u2").tobytes())
    return item


def voi(*numbers):
    return {"VOILUTSequence": [table(*numbers)]}


PLAIN = rescale(1, 0)
SIGMOID = {**WINDOW, "VOILUTFunction": "SIGMOID"}
INVERSE, IDENTITY = {"PresentationLUTShape": "INVERSE"}, {"PresentationLUTShape": "IDENTITY"}
ENCODINGS = {
    "window": ("MONOCHROME2", {**PLAIN, **WINDOW}),
    "inverted window": ("MONOCHROME1", {**PLAIN, **WINDOW}),
    "inverted window, shape inverse": ("MONOCHROME1", {**PLAIN, **WINDOW, **INVERSE}),
    "window, shape identity": ("MONOCHROME2", {**PLAIN, **WINDOW, **IDENTITY}),
    "falling rescale": ("MONOCHROME2", {**rescale(-1, 4095), **WINDOW}),
    "inverted falling rescale": ("MONOCHROME1", {**rescale(-1, 4095), **WINDOW}),
    "steep rescale": (
        "MONOCHROME2",
        {**rescale(2, -1000), "WindowCenter": 3400, "WindowWidth": 5200},
    ),
    "VOI LUT of 12 bits": ("MONOCHROME2", {**PLAIN, **voi(4096, 0, 12)}),
    "inverted VOI LUT of 12 bits": ("MONOCHROME1", {**PLAIN, **voi(4096, 0, 12), **INVERSE}),
    "VOI LUT of 8 bits": ("MONOCHROME2", {**PLAIN, **voi(4096, 0, 8)}),
    "VOI LUT of part of the levels": ("MONOCHROME2", {**PLAIN, **voi(1024, 1500, 16)}),
    "sigmoid": ("MONOCHROME2", {**PLAIN, **SIGMOID}),
    "inverted sigmoid": ("MONOCHROME1", {**PLAIN, **SIGMOID, **INVERSE}),
    "empty window": ("MONOCHROME2", {**PLAIN, "WindowCenter": None, "WindowWidth": None}),
    "neither rescale nor window": ("MONOCHROME1", {}),
    "modality LUT": ("MONOCHROME2", {"ModalityLUTSequence": [table(4096, 0, 16, power=0.5)]}),
    "falling rescale, VOI LUT": ("MONOCHROME2", {**rescale(-1, 4095), **voi(4096, 0, 12)}),
    "shape inverse": ("MONOCHROME2", {**PLAIN, **WINDOW, **INVERSE}),
    "inverted, shape identity": ("MONOCHROME1", {**PLAIN, **WINDOW, **IDENTITY}),
}


def levels():
    """A ramp with a block: neither turned, mirrored nor inverted it looks like itself."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    ramp = 500 + 3000 * (0.6 * x / WIDTH + 0.4 * y / HEIGHT)
    ramp[20:50, 10:30] += 500
    return ramp.astype("<u2")


def write_encoded(path: Path, name: str, **elements) -> None:
    """A digital radiograph of 12 bits in an encoding of `ENCODINGS`."""
    photometric, grey_scale = ENCODINGS[name]
    dataset = Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = f"1.2.3.4.5.{list(ENCODINGS).index(name)}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.4", "1.2.3.4.1"
    dataset.Modality, dataset.BodyPartExamined = "DX", "CHEST"
    dataset.PatientName, dataset.PatientID = "Roe^Jane", "7"
    dataset.PatientBirthDate, dataset.PatientSex = "19500101", "F"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20260101", "101112", "7"
    dataset.AccessionNumber, dataset.ReferringPhysicianName = "A7", "Doe^Jo"
    dataset.Rows, dataset.Columns = HEIGHT, WIDTH
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, photometric
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = levels().tobytes()
    for keyword, value in {**grey_scale, **elements}.items():
        setattr(dataset, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def dcmtk(*command: object) -> subprocess.CompletedProcess[str]:
    """Run a program of dcmtk, or skip where there is none."""
    program = shutil.which(str(command[0]))
    if program is None:
        pytest.skip(f"no {command[0]}: apt-get install dcmtk")
    return subprocess.run(
        [program, *map(str, command[1:])], capture_output=True, text=True, check=False, timeout=60
    )


def rendered(path: Path, name: str) -> np.ndarray:
    """The film as dcmtk shows it with the grey scale of its header."""
    grey_scale = ENCODINGS[name][1]
    options = []
    if "VOILUTSequence" in grey_scale:
        options = ["+Wl", "1"]
    elif grey_scale.get("WindowCenter"):
        options = ["+Wi", "1"]
    if "VOILUTFunction" in grey_scale:
        options.append("+Wfs")
    picture = path.with_suffix(".dcm2pnm.pgm")
    done = dcmtk("dcm2pnm", "+op", *options, path, picture)
    assert picture.is_file(), done.stderr
    return np.asarray(Image.open(picture), dtype=float)


def rendered_with_state(path: Path, state: Path) -> np.ndarray:
    """The film as dcmtk shows it with a presentation state."""
    picture = path.with_suffix(".dcmp2pgm.pgm")
    done = dcmtk("dcmp2pgm", "-p", state, path, picture)
    assert picture.is_file(), done.stderr
    return np.asarray(Image.open(picture), dtype=float)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])
