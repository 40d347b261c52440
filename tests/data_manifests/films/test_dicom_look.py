"""The look of DICOM films against dcmtk's own rendering, over encodings that tools differ in."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from data_manifests.films.read_film import read_film
from tests.data_manifests.film_files import ramp, write_dicom

RENDERER = shutil.which("dcm2pnm")
pytestmark = pytest.mark.skipif(RENDERER is None, reason="dcmtk is not installed")
STORED = {"BitsStored": 12, "HighBit": 11}
WINDOW = {"WindowCenter": "1500", "WindowWidth": "1200"}
TURNED = {"RescaleSlope": "-1", "RescaleIntercept": "4095"}
INVERSE = {"PhotometricInterpretation": "MONOCHROME1"}


def lut(turned: bool = False) -> dict[str, object]:
    """A VOI LUT of 12 bits, a square root, as sequences of old CR systems are."""
    table = np.sqrt(np.arange(4096) / 4095) * 4095
    item = Dataset()
    item.add_new(0x00283002, "US", [4096, 0, 12])
    item.add_new(0x00283006, "US", (4095 - table if turned else table).astype(int).tolist())
    return {"VOILUTSequence": Sequence([item])}


CASES: dict[str, tuple[dict[str, object], list[str]]] = {
    "plain": ({}, []),
    "inverted": (INVERSE, []),
    "window": (WINDOW, ["+Wi", "1"]),
    "inverted, window": ({**INVERSE, **WINDOW}, ["+Wi", "1"]),
    "negative slope": (TURNED, []),
    "negative slope, window": ({**TURNED, **WINDOW}, ["+Wi", "1"]),
    "negative slope, inverted, window": ({**TURNED, **INVERSE, **WINDOW}, ["+Wi", "1"]),
    "negative slope, no intercept": (
        {**TURNED, "RescaleIntercept": "0", "WindowCenter": "-2500", "WindowWidth": "1000"},
        ["+Wi", "1"],
    ),
    "sigmoid": ({**WINDOW, "VOILUTFunction": "SIGMOID"}, ["+Wfs", "+Wi", "1"]),
    "negative slope, sigmoid": (
        {**TURNED, **WINDOW, "VOILUTFunction": "SIGMOID"},
        ["+Wfs", "+Wi", "1"],
    ),
    "VOI LUT": (lut(), ["+Wl", "1"]),
    "falling VOI LUT": (lut(turned=True), ["+Wl", "1"]),
    "inverted, VOI LUT": ({**INVERSE, **lut()}, ["+Wl", "1"]),
    "negative slope, VOI LUT": ({**TURNED, **lut()}, ["+Wl", "1"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_film_looks_as_dcmtk_shows_it(tmp_path, name):
    tags, options = CASES[name]
    path = write_dicom(tmp_path / "a.dcm", ramp(64, 96, top=4095), **STORED, **tags)
    shown = tmp_path / "a.pgm"
    command = [str(RENDERER), *(options or ["+Wm"]), "+op", str(path), str(shown)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = np.asarray(Image.open(shown), np.float64)
    found = read_film(path).pixels
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99
