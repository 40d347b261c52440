"""Reading films: right grey levels for every kind of file, or a refusal that names the reason."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from data_manifests.films.read_film import film_size, read_film
from data_manifests.support.arrays import Floats
from data_manifests.support.errors import DataError
from tests.data_manifests.film_files import (
    ramp,
    write_dicom,
    write_jpeg,
    write_png,
    write_png_header,
)

RAMP8 = ramp() / 255
RAMP16 = ramp(top=65535) / 65535


def grey_as(kind: str, mode: str = "L", **options: object) -> Callable[[Path], Path]:
    """A writer of the 8-bit ramp in another format."""

    def write(path: Path) -> Path:
        image = Image.fromarray(ramp().astype(np.uint8)).convert(mode)
        image.save(path, kind, **options)
        return path

    return write


def grey16_tiff(**options: object) -> Callable[[Path], Path]:
    """A writer of the 16-bit ramp as TIFF."""

    def write(path: Path) -> Path:
        Image.fromarray(ramp(top=65535).astype(np.uint16)).save(path, "TIFF", **options)
        return path

    return write


def palette_png(path: Path) -> Path:
    """An inverted palette: index 0 is white."""
    image = Image.fromarray(ramp().astype(np.uint8)).convert("P")
    image.putpalette([level for index in range(256) for level in [255 - index] * 3])
    image.putdata(ramp().ravel().tolist())
    image.save(path)
    return path


def exif_jpeg(path: Path) -> Path:
    """Stored on its side, with EXIF orientation 6: turn it 90 degrees clockwise to show it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.kron(np.arange(12).reshape(3, 4) * 20, np.ones((16, 16)))
    return write_jpeg(path, stored, exif=exif)


GOLDEN: dict[str, tuple[str, Callable[[Path], Path], Floats, str]] = {
    "8-bit PNG": ("a.png", write_png, RAMP8, "level / 255"),
    "16-bit PNG": (
        "a.png",
        lambda path: write_png(path, ramp(top=65535), "I;16"),
        RAMP16,
        "level / 65535; convert('L') would saturate",
    ),
    "1-bit PNG": (
        "a.png",
        lambda path: write_png(path, np.where(ramp() > 127, 255, 0), "1"),
        (ramp() > 127).astype(float),
        "two levels",
    ),
    "palette PNG": ("a.png", palette_png, 1 - RAMP8, "colours, not indices"),
    "RGB PNG": ("a.png", lambda path: write_png(path, mode="RGB"), RAMP8, "equal channels"),
    "8-bit BMP": ("a.bmp", grey_as("BMP"), RAMP8, "levels over 255"),
    "8-bit TIFF": ("a.tif", grey_as("TIFF"), RAMP8, "levels over 255"),
    "compressed TIFF": ("a.tiff", grey_as("TIFF", compression="tiff_lzw"), RAMP8, "no loss"),
    "8-bit TIFF, white is zero": (
        "a.tif",
        grey_as("TIFF", tiffinfo={262: 0}),
        RAMP8,
        "Pillow inverts when it writes and when it reads",
    ),
    "lossless WebP": ("a.webp", grey_as("WEBP", mode="RGB", lossless=True), RAMP8, "same levels"),
    "16-bit TIFF": ("a.tif", grey16_tiff(), RAMP16, "levels over 65535"),
    "16-bit TIFF, white is zero": (
        "a.tif",
        grey16_tiff(tiffinfo={262: 0}),
        1 - RAMP16,
        "TIFF 6.0: inverted",
    ),
    "LA PNG, opaque": ("a.png", lambda path: write_png(path, mode="LA"), RAMP8, "alpha dropped"),
    "RGBA PNG, opaque": ("a.png", lambda path: write_png(path, mode="RGBA"), RAMP8, "same"),
    "DICOM MONOCHROME2": (
        "a.dcm",
        lambda path: write_dicom(path, ramp(top=4095), BitsStored=12, HighBit=11),
        ramp(top=4095) / 4095,
        "full range",
    ),
    "DICOM MONOCHROME1": (
        "a.dcm",
        lambda path: write_dicom(
            path, ramp(top=4095), BitsStored=12, HighBit=11, PhotometricInterpretation="MONOCHROME1"
        ),
        1 - ramp(top=4095) / 4095,
        "inverted",
    ),
    "DICOM MONOCHROME1, levels 100 to 1100": (
        "a.dcm",
        lambda path: write_dicom(
            path, ramp(top=1000) + 100, PhotometricInterpretation="MONOCHROME1"
        ),
        1 - ramp(top=1000) / 1000,
        "inverted about the range that came out, not about 2**bits",
    ),
    "DICOM signed with rescale": (
        "a.dcm",
        lambda path: write_dicom(
            path, ramp(top=2000) - 1000, RescaleSlope="2", RescaleIntercept="-7"
        ),
        ramp(top=2000) / 2000,
        "an affine map does not change the range",
    ),
    "DICOM negative slope": (
        "a.dcm",
        lambda path: write_dicom(path, ramp(top=2000), RescaleSlope="-1", RescaleIntercept="0"),
        1 - ramp(top=2000) / 2000,
        "rescale comes first and turns the scale round",
    ),
    "DICOM window": (
        "a.dcm",
        lambda path: write_dicom(path, ramp(top=1000), WindowCenter="500", WindowWidth="401"),
        np.clip((ramp(top=1000) - 299.5) / 400, 0, 1),
        "PS3.3 C.11.2.1.2.1, linear",
    ),
    "DICOM padding": (
        "a.dcm",
        lambda path: write_dicom(
            path,
            np.where(ramp(top=1000) < 10, -2000, ramp(top=1000)),
            PixelPaddingValue=-2000,
        ),
        np.where(ramp(top=1000) < 10, 0, (ramp(top=1000) - 10) / 990),
        "padding is black and does not stretch the range",
    ),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_grey_levels_are_those_a_viewer_shows(tmp_path: Path, case: str) -> None:
    name, write, expected, reason = GOLDEN[case]
    film = read_film(write(tmp_path / name))
    assert film.pixels.dtype == np.float32
    np.testing.assert_allclose(film.pixels, expected, atol=1e-6, err_msg=reason)
    assert film_size(tmp_path / name) == (film.width, film.height)


@pytest.mark.parametrize(
    ("entries", "first", "depth", "reason"),
    [
        (256, 0, 8, "levels above the table take its last entry, and do not wrap round"),
        (512, 0, 8, "an 8-bit table with more than 256 entries"),
        (400, 50, 16, "levels below the first mapped one take the first entry"),
        (512, 0, 12, "as deep as the film"),
    ],
)
def test_a_voi_lut_of_another_depth_is_applied(
    tmp_path: Path, entries: int, first: int, depth: int, reason: str
) -> None:
    table = np.linspace(2 ** min(depth, 12) - 1, 0, entries).astype(int)
    lut = Dataset()
    lut.add_new(0x00283002, "US", [entries, first, depth])
    lut.add_new(0x00283006, "US", table.tolist())
    levels = ramp(top=511)
    write_dicom(tmp_path / "a.dcm", levels, VOILUTSequence=Sequence([lut]))
    shown = np.array([[table[min(max(v - first, 0), entries - 1)] for v in row] for row in levels])
    expected = (shown - shown.min()) / (shown.max() - shown.min())
    np.testing.assert_allclose(
        read_film(tmp_path / "a.dcm").pixels, expected, atol=1e-6, err_msg=reason
    )


def test_exif_rotation_turns_the_film_and_its_size(tmp_path: Path) -> None:
    path = exif_jpeg(tmp_path / "a.jpg")
    film = read_film(path)
    blocks = film.pixels[8::16, 8::16] * 255
    expected = np.rot90(np.arange(12).reshape(3, 4) * 20, -1)
    np.testing.assert_allclose(blocks, expected, atol=3)
    assert film_size(path) == (48, 64) == (film.width, film.height)


def test_a_png_turned_by_exif_after_its_pixels_has_the_turned_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(ramp().astype(np.uint8)).save(tmp_path / "a.png", exif=exif)
    assert film_size(tmp_path / "a.png") == (32, 48)
    assert read_film(tmp_path / "a.png").pixels.shape == (48, 32)


def test_the_size_of_a_png_is_read_without_its_pixels(tmp_path: Path) -> None:
    write_png_header(tmp_path / "a.png", 4000, 3000)
    assert film_size(tmp_path / "a.png") == (4000, 3000)


def test_jpeg_levels_are_near_the_original(tmp_path: Path) -> None:
    film = read_film(write_jpeg(tmp_path / "a.jpeg"))
    np.testing.assert_allclose(film.pixels, RAMP8, atol=0.05)


def test_twelve_bits_in_sixteen_are_noted(tmp_path: Path) -> None:
    film = read_film(write_png(tmp_path / "a.png", ramp(top=4095), "I;16"))
    assert "12-bit" in film.notes[0]
    assert film.pixels.max() < 0.1, "never stretched silently"


def test_colour_is_noted(tmp_path: Path) -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:4, :4, 0] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert "colour" in read_film(tmp_path / "a.png").notes[0]


PAGE = Image.new("L", (48, 32))
REFUSED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("a.png", lambda path: None, "no such file"),
    "zero bytes": ("a.png", lambda path: path.write_bytes(b""), "0 bytes"),
    "text called png": ("a.png", lambda path: path.write_text("hello"), "another format"),
    "text called dcm": ("a.dcm", lambda path: path.write_text("hello" * 99), "a DICOM file"),
    "GIF": (
        "a.gif",
        lambda path: Image.fromarray(ramp().astype(np.uint8)).save(path),
        "a GIF image; save it as PNG",
    ),
    "ZIP": ("a.png", lambda path: path.write_bytes(b"PK\x03\x04" * 9), "a ZIP archive; unpack it"),
    "PDF": ("a.png", lambda path: path.write_bytes(b"%PDF-1.7\n"), "a PDF document"),
    "error page": ("a.png", lambda path: path.write_text("\n<!DOCTYPE html>"), "HTML or XML"),
    "JPEG 2000": (
        "a.jp2",
        lambda path: Image.fromarray(ramp().astype(np.uint8)).save(path, "JPEG2000"),
        "a JPEG 2000 image; save it as PNG",
    ),
    "turned TIFF": ("a.tif", grey_as("TIFF", tiffinfo={274: 6}), "a turned TIFF"),
    "TIFF of two pages": (
        "a.tif",
        lambda path: PAGE.save(path, save_all=True, append_images=[PAGE]),
        "2 pages or frames",
    ),
    "floating-point TIFF": (
        "a.tif",
        lambda path: Image.fromarray(ramp().astype(np.float32)).save(path),
        "floating-point pixels",
    ),
    "too small": ("a.png", lambda path: write_png(path, ramp(20, 20)), "1,024 pixels"),
    "too flat": ("a.png", lambda path: write_png(path, ramp(8, 480)), "16 pixels"),
    "transparent": (
        "a.png",
        lambda path: Image.new("LA", (32, 32), (100, 10)).save(path),
        "opaque",
    ),
    "transparent palette": (
        "a.png",
        lambda path: Image.new("P", (32, 32)).save(path, transparency=0),
        "opaque",
    ),
    "DICOM of CT": ("a.dcm", lambda path: write_dicom(path, Modality="CT"), "(0008,0060)"),
    "DICOM lateral": ("a.dcm", lambda path: write_dicom(path, ViewPosition="LL"), "(0018,5101)"),
    "DICOM of a hand": (
        "a.dcm",
        lambda path: write_dicom(path, BodyPartExamined="HAND"),
        "(0018,0015)",
    ),
    "DICOM burned-in": (
        "a.dcm",
        lambda path: write_dicom(path, BurnedInAnnotation="YES"),
        "(0028,0301)",
    ),
    "DICOM of two frames": (
        "a.dcm",
        lambda path: write_dicom(path, NumberOfFrames="2"),
        "(0028,0008)",
    ),
    "DICOM colour": (
        "a.dcm",
        lambda path: write_dicom(path, PhotometricInterpretation="RGB"),
        "(0028,0004)",
    ),
    "DICOM without rows": ("a.dcm", lambda path: write_dicom(path, Rows=None), "(0028,0010)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_film_is_refused_with_its_reason(tmp_path: Path, case: str) -> None:
    name, write, reason = REFUSED[case]
    write(tmp_path / name)
    with pytest.raises(DataError) as caught:
        read_film(tmp_path / name)
    assert reason in str(caught.value)
    assert str(tmp_path) not in str(caught.value), "folders can name patients"


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["png", "jpg", "progressive.jpg", "dcm", "16.png"])
@pytest.mark.parametrize("cut", range(10))
def test_truncation_is_an_error_at_every_point(tmp_path: Path, kind: str, cut: int) -> None:
    whole = tmp_path / f"whole.{kind}"
    # Noise: with a smooth film the last bytes may hold no pixel.
    levels = np.random.default_rng(0).integers(0, 256, (64, 64))
    if kind == "dcm":
        write_dicom(whole, levels)
    elif kind.endswith("jpg"):
        write_jpeg(whole, levels, progressive=kind.startswith("progressive"))
    else:
        is_deep = kind == "16.png"
        write_png(whole, levels * 257 if is_deep else levels, "I;16" if is_deep else "L")
    content = whole.read_bytes()
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(content[: int(len(content) * (cut + 0.5) / 10)])
    with pytest.raises(DataError):
        read_film(path)


def test_truncated_films_stay_errors_when_pillow_was_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(DataError, match="LOAD_TRUNCATED_IMAGES"):
        read_film(write_png(tmp_path / "a.png"))


BOMB = """
import resource, sys
from pathlib import Path
from data_manifests.support.errors import DataError
from data_manifests.films.read_film import film_size, read_film
import data_manifests.films.dicom
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for read in (read_film, film_size):
    try:
        read(Path(sys.argv[1]))
    except DataError as error:
        assert "at most" in str(error), error
    else:
        raise SystemExit("not refused")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def png_bomb(path: Path) -> None:
    write_png_header(path, 20_000, 20_000)


def dicom_bomb(path: Path) -> None:
    write_dicom(path, Rows=60_000, Columns=60_000)


def deflated_bomb(path: Path) -> None:
    """A header that claims a small film, and a gigabyte of zeros behind it."""
    import zlib

    import pydicom
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    write_dicom(path)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    content = path.read_bytes()
    meta = 144 + int(pydicom.filereader.read_file_meta_info(path).FileMetaInformationGroupLength)
    plain = zlib.decompress(content[meta:], -15)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(plain) + b"".join(packer.compress(b"\0" * 2**20) for _ in range(600))
    path.write_bytes(content[:meta] + packed + packer.flush())


@pytest.mark.faults
@pytest.mark.parametrize(
    ("name", "write"),
    [("a.png", png_bomb), ("a.dcm", dicom_bomb), ("b.dcm", deflated_bomb)],
)
def test_a_bomb_is_refused_before_it_is_decoded(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    command = [sys.executable, "-c", BOMB, str(tmp_path / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 50 * 1024, "KiB of resident memory"


def test_films_that_pydicom_ships_are_read_or_refused() -> None:
    import pydicom.data

    folder = Path(pydicom.data.__file__).parent / "test_files"
    films = sorted(folder.rglob("*.dcm"))
    read = []
    for path in films:
        try:
            film = read_film(path)
        except DataError:
            continue
        assert film.pixels.min() == 0
        assert film.pixels.max() == 1
        read.append(path.name)
    assert len(films) > 50
    assert read == ["image_dfl.dcm"], "the one monochrome projection among them"


@pytest.mark.parametrize(
    "tags", [{"Modality": "SC"}, {"Modality": "CR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}]
)
def test_a_missing_burned_in_flag_of_secondary_capture_is_noted(tmp_path: Path, tags) -> None:
    write_dicom(tmp_path / "a.dcm", BurnedInAnnotation=None, **tags)
    assert "Burned In" in read_film(tmp_path / "a.dcm").notes[0]
    write_dicom(tmp_path / "b.dcm", BurnedInAnnotation=None)
    assert read_film(tmp_path / "b.dcm").notes == ()


def test_a_header_gives_view_sex_and_age_but_no_name(tmp_path: Path) -> None:
    from data_manifests.films.dicom import DicomHeader, dicom_header

    write_dicom(tmp_path / "a.dcm", PatientName="Doe", PatientSex="F", PatientAge="058Y")
    assert dicom_header(tmp_path / "a.dcm") == DicomHeader(48, 32, "PA", "F", "58")
