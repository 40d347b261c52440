"""Odd, damaged and hostile DICOM files: each is read or refused by name."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from data_manifests.films.dicom import dicom_header
from data_manifests.films.dicom_header import reason
from data_manifests.films.read_film import film_size, read_film
from data_manifests.support.errors import DataError
from tests.data_manifests.film_files import ramp, write_dicom

pytest.importorskip("openjpeg")
FLIPS = int(os.environ.get("PNEUMOLOC_FUZZ", "60"))  # `make fuzz` sets more


def change(path: Path, keyword: str, vr: str, value: object) -> Path:
    """The film with one element replaced, its value written as it is."""
    write_dicom(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path)
        dataset.add_new(keyword, vr, value)
        dataset.save_as(path)
    return path


def element(content: bytes, tag: bytes, change: bytes) -> bytes:
    """The bytes of a file with the value of a US element replaced, its length too."""
    at = content.index(tag + b"US")
    return content[: at + 6] + len(change).to_bytes(2, "little") + change + content[at + 10 :]


def without_us(content: bytes, tag: bytes) -> bytes:
    """The bytes of a file without a US element."""
    at = content.index(tag + b"US")
    return content[:at] + content[at + 10 :]


@pytest.mark.parametrize(
    ("tag", "change", "reason"),
    [
        (b"\x28\x00\x10\x00", b"", r"\(0028,0010\) Rows: expected a whole number"),
        (b"\x28\x00\x10\x00", b"\x20\0\x20\0", r"\(0028,0010\) Rows: expected one whole number"),
        (b"\x28\x00\x02\x00", b"\x01\0\x01\0", r"\(0028,0002\) Samples per Pixel"),
        (b"\x28\x00\x00\x01", b"", r"\(0028,0100\) Bits Allocated"),
        (b"\x28\x00\x00\x01", b"\x40\0", "samples of 64 bits"),
    ],
)
def test_numbers_that_are_empty_or_repeated_are_named(tmp_path, tag, change, reason):
    path = write_dicom(tmp_path / "a.dcm")
    path.write_bytes(element(path.read_bytes(), tag, change))
    with pytest.raises(DataError, match=reason):
        read_film(path)


@pytest.mark.parametrize(
    ("keyword", "vr", "value", "reason"),
    [
        ("NumberOfFrames", "LO", "abc", r"\(0028,0008\) Number of Frames"),
        ("NumberOfFrames", "IS", ["1", "1"], "one whole number, got 2 values"),
        ("PixelPaddingValue", "US", [1, 2], r"\(0028,0120\) Pixel Padding Value"),
        ("BurnedInAnnotation", "CS", "NO\\YES", r"\(0028,0301\)"),
        ("BurnedInAnnotation", "CS", " YES", r"\(0028,0301\)"),
        ("PatientOrientation", "CS", ["R", "F"], "a mirrored film"),
        ("PatientOrientation", "CS", ["A", "F"], "a lateral film"),
        ("PatientOrientation", "CS", ["L", "H"], "upside down"),
        ("Modality", "CS", ["DX", "CT"], r"\(0008,0060\)"),
    ],
)
def test_odd_elements_are_refused_by_name(tmp_path, keyword, vr, value, reason):
    path = change(tmp_path / "a.dcm", keyword, vr, value)
    for look in (read_film, film_size, dicom_header):
        if keyword == "PixelPaddingValue" and look is not read_film:
            continue  # not part of the header's own checks
        with pytest.raises(DataError, match=reason):
            look(path)


@pytest.mark.parametrize(
    ("damage", "got"),
    [
        (lambda content: b"hello world" * 99, "got a file without the mark DICM at byte 128"),
        (lambda content: content[:-1000], "got 2072 of 3072 bytes"),
        (lambda content: content[: content.index(b"\xe0\x7f\x10\x00")], "got no pixel data"),
        (lambda content: without_us(content, b"\x28\x00\x03\x01"), r"got no \(0028,0103\)"),
        (
            lambda content: content.replace(b"1.2.840.10008.1.2.1\0", b"9.2.840.10008.1.2.1\0"),
            "got a transfer syntax without a decoder on this computer",
        ),
    ],
)
def test_damage_is_told_in_words_about_the_file_not_about_the_library(tmp_path, damage, got):
    path = write_dicom(tmp_path / "a.dcm")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=got) as caught:
        read_film(path)
    for word in ("force", "dataset", "attribute", "'...'"):
        assert word not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            RuntimeError(
                "Unable to decode as exceptions were raised by all available plugins:\n  x"
            ),
            "truncated or damaged data",
        ),
        (
            RuntimeError(
                "Unable to decompress 'JPEG 2000' pixel data because all plugins are missing "
                "dependencies:\n\tgdcm"
            ),
            "a transfer syntax without a decoder on this computer",
        ),
        (
            NotImplementedError("The data type 'x' needed to contain the pixel data is not known"),
            "truncated or damaged data",
        ),
    ],
)
def test_a_decoder_that_fails_is_not_a_missing_decoder(error, words):
    assert reason(error) == words


def test_a_lateral_view_code_is_refused(tmp_path):
    view = Dataset()
    view.CodeValue, view.CodingSchemeDesignator = "399198007", "SCT"
    view.CodeMeaning = "right lateral"
    path = change(tmp_path / "a.dcm", "ViewCodeSequence", "SQ", [view])
    with pytest.raises(DataError, match=r"\(0054,0220\) View Code Sequence: expected a frontal"):
        film_size(path)


@pytest.mark.parametrize(
    ("tags", "note"),
    [
        ({"SeriesDescription": "Thorax lat"}, "speaks of a lateral film"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "raw levels"),
        ({"PatientAge": "007Y"}, "film of a child"),
        ({"PatientAge": "011M"}, "film of a child"),
        ({"PatientAge": "061Y", "SeriesDescription": "Flat panel PA"}, None),
        ({"PatientOrientation": ["L", "F"]}, None),
        ({"PatientOrientation": ["LF", "FR"]}, None),
    ],
)
def test_what_is_odd_about_a_film_is_noted(tmp_path, tags, note):
    notes = read_film(write_dicom(tmp_path / "a.dcm", **tags)).notes
    assert len(notes) == (note is not None)
    assert note is None or note in notes[0]


@pytest.mark.parametrize("tag", ["WindowCenter", "WindowWidth"])
def test_an_empty_window_is_no_window(tmp_path, tag):
    plain = read_film(write_dicom(tmp_path / "a.dcm", ramp(top=1000)))
    other = {"WindowCenter": "500", "WindowWidth": "100"}
    found = read_film(write_dicom(tmp_path / "b.dcm", ramp(top=1000), **{**other, tag: ""}))
    np.testing.assert_array_equal(found.pixels, plain.pixels)


def test_sequences_in_sequences_without_end_are_refused(tmp_path):
    path = write_dicom(tmp_path / "a.dcm")
    item = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    content = path.read_bytes()
    at = content.index(b"\x08\x00\x60\x00CS")  # Modality: the next element in order
    path.write_bytes(content[:at] + item * 3000 + content[at:])
    with pytest.raises(DataError, match=r"a\.dcm"):
        read_film(path)


def compressed(path: Path, syntax: UID, packed: bytes) -> Path:
    """A 64 x 64 header around a codestream of its own size."""
    write_dicom(path, ramp(64, 64), BitsAllocated=8, BitsStored=8, HighBit=7)
    dataset = pydicom.dcmread(path)
    dataset.PixelData = encapsulate([packed])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path)
    return path


def packed(kind: str, side: int, mode: str = "L") -> bytes:
    content = io.BytesIO()
    options = {"no_jp2": True} if kind == "JPEG2000" else {}
    Image.new(mode, (side, side)).save(content, kind.removesuffix(" file"), **options)
    return content.getvalue()


@pytest.mark.parametrize(
    ("syntax", "kind"),
    [
        (JPEG2000Lossless, "JPEG2000"),
        (JPEG2000Lossless, "JPEG2000 file"),
        (JPEGBaseline8Bit, "JPEG"),
    ],
)
def test_a_codestream_larger_than_its_header_is_not_decoded(tmp_path, monkeypatch, syntax, kind):
    path = compressed(tmp_path / "a.dcm", syntax, packed(kind, 1200))
    monkeypatch.setattr(Dataset, "pixel_array", property(lambda _: pytest.fail("was decoded")))
    with pytest.raises(DataError, match=r"image of 64 x 64 x 1 .* 1200 x 1200"):
        read_film(path)
    colour = compressed(tmp_path / "b.dcm", syntax, packed(kind, 64, "RGB"))
    with pytest.raises(DataError, match="64 x 64 x 3"):
        read_film(colour)


@pytest.mark.parametrize("kind", ["JPEG2000", "JPEG2000 file", "JPEG"])
def test_a_codestream_of_the_header_s_size_is_decoded(tmp_path, kind):
    syntax = JPEGBaseline8Bit if kind == "JPEG" else JPEG2000Lossless
    film = read_film(compressed(tmp_path / "a.dcm", syntax, packed(kind, 64)))
    assert (film.width, film.height) == (64, 64)


ENCODINGS = {
    "plain": None,
    "implicit": ImplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "RLE": RLELossless,
    "J2K": JPEG2000Lossless,
    "J2K lossy": JPEG2000,
    "JPEG-LS": JPEGLSLossless,
    "JPEG": JPEGBaseline8Bit,
}


def encoded(path: Path, syntax: UID | None) -> bytes:
    """A film of a named patient in a transfer syntax."""
    tags = {"PatientName": "Doe^Jane", "PatientAge": "050Y"}
    if syntax == JPEGBaseline8Bit:
        return compressed(path, syntax, packed("JPEG", 64)).read_bytes()
    write_dicom(path, ramp(64, 64), **tags)
    dataset = pydicom.dcmread(path)
    if syntax == JPEG2000:
        dataset.compress(syntax, j2k_cr=[4])
    elif syntax is not None and syntax.is_compressed and not syntax.is_deflated:
        dataset.compress(syntax)
    elif syntax is not None:
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = dataset.pixel_array.astype(">u2").tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
    content = io.BytesIO()
    pydicom.dcmwrite(
        content,
        dataset,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
        force_encoding=True,
    )
    return content.getvalue()


@pytest.mark.faults
@pytest.mark.parametrize("name", ENCODINGS)
def test_flipped_bytes_are_read_or_refused_and_nothing_else(tmp_path, name, caplog):
    path = tmp_path / "a.dcm"
    content = encoded(path, ENCODINGS[name])
    path.write_bytes(content)
    assert read_film(path).width == 64
    rng = np.random.default_rng(len(name))
    tag = b"\x7f\xe0\x00\x10" if name == "big endian" else b"\xe0\x7f\x10\x00"
    pixels = 400 if name == "deflated" else content.rindex(tag)
    refused = 0
    with caplog.at_level(logging.CRITICAL), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for number in range(FLIPS):
            damaged = bytearray(content)
            first, end = (132, pixels) if number % 2 else (pixels, len(content))
            for place in rng.integers(first, end, int(rng.integers(1, 4))):
                damaged[place] = int(rng.integers(256))
            path.write_bytes(damaged)
            try:
                film = read_film(path)
                assert np.isfinite(film.pixels).all()
            except DataError as error:
                refused += error.problems[0].file == "a.dcm"
    assert 0 < refused < FLIPS
    assert not [one for one in caught if "Doe" in str(one.message)]


BOMB = """
import resource, sys, time
from pathlib import Path
from data_manifests.support.errors import DataError
from data_manifests.films.read_film import read_film
import data_manifests.films.dicom, openjpeg, pydicom.pixels.decoders
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
try:
    read_film(Path(sys.argv[1]))
except DataError as error:
    assert "as in the header" in str(error), error
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, time.process_time() - start)
"""


@pytest.mark.faults
def test_a_bomb_in_jpeg_2000_takes_no_memory(tmp_path):
    path = compressed(tmp_path / "a.dcm", JPEG2000Lossless, packed("JPEG2000", 8000))
    assert path.stat().st_size < 50_000
    done = subprocess.run(
        [sys.executable, "-c", BOMB, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    kib, seconds = done.stdout.split()
    assert int(kib) < 50 * 1024
    assert float(seconds) < 1
