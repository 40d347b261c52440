"""`read_film`: a PNG, JPEG, TIFF, BMP, WebP or DICOM file to grey levels in [0, 1].

Files come from strangers: sizes are checked before anything is decoded, and truncated data is an
error, never a grey area. OpenCV is not used to read: it returns truncated JPEGs without an error.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from data_manifests.support.arrays import Floats32
from data_manifests.support.atomic import file_sha256
from data_manifests.support.errors import DataError, Problem

MAX_PIXELS = 64_000_000  # a 43 x 43 cm detector at 0.1 mm has 18 million
MIN_SIDE = 16
MAX_RATIO = 10  # of the sides; a strip has no lungs, and is two pixels high for the detector
MIN_PIXELS = 32 * 32  # icons and thumbnails have fewer
RASTER_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
RASTER_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
DICOM_SUFFIXES = (".dcm", ".dicom", ".dic")
FILM_SUFFIXES = (*RASTER_SUFFIXES, *DICOM_SUFFIXES)
FILM_DATA = "PNG, JPEG, TIFF, BMP, WebP or DICOM data"
# What people give instead, by its first bytes.
OTHER_KINDS = {
    b"GIF8": ("a GIF image", "save it as PNG"),
    b"PK\x03\x04": ("a ZIP archive", "unpack it"),
    b"\x1f\x8b": ("a gzip archive", "unpack it"),
    b"%PDF": ("a PDF document", "export its film as DICOM or PNG"),
    b"\x00\x00\x00\x0cjP  ": ("a JPEG 2000 image", "save it as PNG"),
    b"\xff\x4f\xff\x51": ("a JPEG 2000 image", "save it as PNG"),
    b"\x93NUMPY": ("a numpy array", "save it as 16-bit PNG"),
    b"<": ("a text in HTML or XML", "this may be an error page of a download"),
}
CHILD_NOTE = "film of a child"  # one of `Film.notes`, by its header
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0  # tags and values of TIFF 6.0, and of EXIF
ORIENTATION, UPRIGHT, ON_ITS_SIDE = 274, 1, (5, 6, 7, 8)


@dataclass(frozen=True)
class Film:
    """One film as it is displayed.

    `pixels` is float32 (H, W) in [0, 1], dense bone bright (MONOCHROME1 is inverted, EXIF rotation
    applied); the film's box coordinates are pixels of this array. `notes` say what a careful user
    should know about the file, for example a missing BurnedInAnnotation flag.
    """

    pixels: Floats32
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])


def read_film(path: Path) -> Film:
    """Read a film; DICOM is recognised by its preamble, whatever the file is called.

    Raises:
        DataError: missing, empty, truncated, too large, not an image, or (DICOM) not a single
            monochrome projection radiograph of a chest.
    """
    path = Path(path)
    if not path.is_file():
        raise film_error(path, "a film file", "no such file")
    if path.stat().st_size == 0:
        raise film_error(path, FILM_DATA, "an empty file (0 bytes)")
    if is_dicom(path):
        from data_manifests.films.dicom import read_dicom_film  # pydicom takes 0.2 s to import

        pixels, notes = read_dicom_film(path)
        return Film(pixels, notes)
    return _read_raster(path)


def check_sha256(path: Path, declared: str) -> None:
    """Refuse a film that changed after its checksum was taken; a blank `declared` is not compared.

    Raises:
        DataError: another checksum.
    """
    if declared and (found := file_sha256(path)) != declared.lower():
        raise film_error(
            path,
            f"sha256 {declared[:16]}...",
            f"{found[:16]}...",
            "the file changed after the manifest was built: build it anew",
            "sha256",
        )


def film_size(path: Path) -> tuple[int, int]:
    """Width and height of a film in pixels, from its header alone.

    Raises:
        DataError: as `read_film`, as far as the header shows it.
    """
    if path.is_file() and path.stat().st_size and is_dicom(path):
        from data_manifests.films.dicom import dicom_size

        return dicom_size(path)
    with _opened(path) as image:
        width, height = image.size
        is_plain_png = image.format == "PNG" and not _has_png_metadata(path)
        if is_plain_png or image.format == "TIFF":  # see `_opened`
            return width, height
        try:
            swap = image.getexif().get(ORIENTATION, UPRIGHT) in ON_ITS_SIDE
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise film_error(path, "complete image data", f"truncated ({error})") from error
    return (height, width) if swap else (width, height)


def _has_png_metadata(path: Path) -> bool:
    """Whether a PNG has chunks that can turn it; Pillow decodes the film to look for them."""
    with path.open("rb") as handle:
        handle.seek(8)
        while len(head := handle.read(8)) == 8:
            if head[4:] in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
                return True
            handle.seek(int.from_bytes(head[:4], "big") + 4, 1)
    return False


def is_dicom(path: Path) -> bool:
    """Whether the file has the DICOM preamble, or the extension where it has none."""
    return has_dicom_preamble(path) or path.suffix.lower() in DICOM_SUFFIXES


def has_dicom_preamble(path: Path) -> bool:
    """Whether the file begins as PS3.10, 7.1 says."""
    with path.open("rb") as handle:
        return handle.read(132)[128:] == b"DICM"


def film_error(path: Path, expected: str, got: str, fix: str = "", field: str = "") -> DataError:
    """The error for one bad film file. Only the file's name is shown: folders can name patients."""
    problem = Problem(file=path.name, field=field, expected=expected, got=got, fix=fix)
    return DataError.from_problems([problem])


def check_size(path: Path, width: int, height: int) -> None:
    """Refuse sizes that no film has, before anything is decoded.

    Raises:
        DataError: more than 64 million or fewer than 1,024 pixels, a side under 16, or one
            side more than ten times the other.
    """
    if width * height > MAX_PIXELS:
        raise film_error(path, f"at most {MAX_PIXELS:,} pixels", f"{width} x {height}")
    if width * height < MIN_PIXELS:
        raise film_error(path, f"at least {MIN_PIXELS:,} pixels", f"{width} x {height}")
    if min(width, height) < MIN_SIDE:
        raise film_error(path, f"sides of at least {MIN_SIDE} pixels", f"{width} x {height}")
    if max(width, height) > MAX_RATIO * min(width, height):
        raise film_error(
            path, f"sides in a ratio of at most {MAX_RATIO}", f"{width} x {height}: no chest film"
        )


def _opened(path: Path) -> Image.Image:
    """The image with its header read and its size accepted."""
    try:
        with warnings.catch_warnings():
            # Pillow only warns of images of 89 to 178 million pixels; our own cap is lower.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path, formats=RASTER_FORMATS)
    except FileNotFoundError as error:
        raise film_error(path, "a film file", "no such file") from error
    except Image.DecompressionBombError as error:
        raise film_error(path, f"at most {MAX_PIXELS:,} pixels", "a decompression bomb") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise _not_a_film(path) from error
    check_size(path, *image.size)
    if (frames := getattr(image, "n_frames", 1)) != 1:
        raise film_error(path, "one picture", f"{frames} pages or frames", "save the film alone")
    if image.format == "TIFF" and image.getexif().get(ORIENTATION, UPRIGHT) != UPRIGHT:
        # Pillow 13 turns some of them twice.
        raise film_error(path, "an upright film", "a turned TIFF", "save it upright, or as PNG")
    return image


def _not_a_film(path: Path) -> DataError:
    with path.open("rb") as handle:
        head = handle.read(16)
    for start, (kind, fix) in OTHER_KINDS.items():
        if head.lstrip().startswith(start) if start == b"<" else head.startswith(start):
            return film_error(path, FILM_DATA, kind, fix)
    return film_error(path, FILM_DATA, "another format or a damaged header")


def _read_raster(path: Path) -> Film:
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise film_error(
            path,
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES off",
            "on: some code of this process set it, and truncated films would be read as grey",
            "set it back to False before films are read",
        )
    with _opened(path) as image:
        try:
            image.load()
            if image.format != "TIFF":  # see `_opened`
                image = ImageOps.exif_transpose(image)
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise film_error(
                path, "complete image data", f"truncated or damaged data ({error})"
            ) from error
        return grey_film(path, image)


def grey_film(path: Path, image: Image.Image) -> Film:
    """Grey levels in [0, 1] of an upright image by its own bit depth, and notes on what is odd.

    `path` is for messages.

    `Image.convert("L")` clips 16-bit data to 255, so those modes are scaled here.
    """
    if image.mode in ("I;16", "I;16B", "I;16L", "I"):
        levels = np.asarray(image, dtype=np.float32)
        if levels.min() < 0 or levels.max() > 65535:
            raise film_error(path, "levels of 0 to 65535", f"{levels.min():g} to {levels.max():g}")
        # 12-bit detectors are often saved in 16 bits without scaling; the film is then very dark.
        if image.format == "TIFF" and image.getexif().get(PHOTOMETRIC) == WHITE_IS_ZERO:
            levels = np.float32(65535) - levels  # Pillow does this for 8 bits only
        dark = 0 < levels.max() < 4096
        note = f"16-bit file whose highest level is {levels.max():g}: unscaled 12-bit data?"
        return Film(levels / np.float32(65535), (note,) if dark else ())
    if image.mode == "F":
        raise film_error(path, "integer grey levels", "floating-point pixels", "save as 16-bit PNG")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        if np.asarray(image.getchannel("A")).min() < 255:
            raise film_error(path, "an opaque film", "transparent pixels", "flatten the image")
    notes: tuple[str, ...] = ()
    if image.mode not in ("1", "L") and _is_coloured(image):
        notes = ("colour image: burned-in marks or not a radiograph?",)
    return Film(np.asarray(image.convert("L"), dtype=np.float32) / np.float32(255), notes)


def _is_coloured(image: Image.Image) -> bool:
    """Whether the colour channels differ by more than the rounding of JPEG's colour transform."""
    channels = np.asarray(image.convert("RGB"), dtype=np.int16)
    return bool((channels.max(axis=2) - channels.min(axis=2)).max() > 8)
