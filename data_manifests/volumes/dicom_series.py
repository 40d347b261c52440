"""`read_series`: the slices of one CT series, sorted by position, as Hounsfield units.

Slices are sorted by their position along the normal of their plane (PS3.3 C.7.6.2.1.1), never by
instance number or file name. A volume is refused where a slice is missing, doubled, of another
series or geometry, and where the planes are not stacked along their normal (gantry tilt).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import pydicom

from data_manifests.films.dicom_header import dicom_errors
from data_manifests.films.find_films import INDEX_FILE
from data_manifests.films.read_film import has_dicom_preamble
from data_manifests.support.arrays import Floats, Floats32
from data_manifests.support.errors import DataError, Problem
from data_manifests.volumes.grid import Grid
from data_manifests.volumes.volume import AIR_HU, Volume

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"  # CT Image Storage; the enhanced class has many frames
MIN_SLICES = 3
GAP_TOLERANCE = 0.05  # of the distance of slices; positions are rounded in headers
GEOMETRY_TOLERANCE = 1e-3
MAX_TILT_MM = 0.02  # sideways step from slice to slice, per mm along the normal: 1.1 degrees
NEEDED = (
    "SOPInstanceUID SeriesInstanceUID Rows Columns PixelSpacing ImageOrientationPatient "
    "ImagePositionPatient RescaleSlope RescaleIntercept"
).split()


@dataclass(frozen=True)
class Slice:
    """A file of a series with its header and its position along the normal, in mm."""

    path: Path
    header: pydicom.Dataset
    position_mm: float


def read_series(folder: Path) -> Volume:
    """The CT series in a folder; its array is (column, row, slice).

    Raises:
        DataError: no series; several series; a missing, doubled, damaged or tilted slice.
    """
    slices = sorted_slices(folder)
    grid = _grid(folder, slices)
    hu = np.empty(grid.shape, dtype=np.float32)
    for place, item in enumerate(slices):
        hu[:, :, place] = _hounsfield(item).T
    return Volume(hu, grid, folder)


def sorted_slices(folder: Path) -> list[Slice]:
    """The headers of a series, sorted by position; checked as `read_series` says.

    Raises:
        DataError: as `read_series`, but for damaged pixels.
    """
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(".") and path.name != INDEX_FILE
    ]
    foreign = [path.name for path in files if not has_dicom_preamble(path)]
    if foreign and len(foreign) < len(files):
        _refuse(folder, "DICOM files only", f"{foreign[0]}", "a truncated file, or move it away")
    if len(files) - len(foreign) < MIN_SLICES:
        _refuse(
            folder,
            f"a DICOM series of {MIN_SLICES} slices or more",
            f"{len(files)} files",
            "name the folder that holds the slices of one series",
        )
    headers = [_header(path) for path in files]
    series = Counter(str(header.SeriesInstanceUID) for header in headers)
    if len(series) > 1:
        counts = ", ".join(str(count) for count in series.values())
        _refuse(
            folder,
            "slices of one series",
            f"{len(series)} series with {counts} slices",
            "put each series into a folder of its own",
        )
    _check_equal_geometry(files, headers)
    normal = _normal(headers[0])
    slices = [
        Slice(path, header, float(np.dot(_position(header), normal)))
        for path, header in zip(files, headers, strict=True)
    ]
    slices.sort(key=lambda item: item.position_mm)
    _check_complete(folder, slices)
    _check_stack(folder, slices, normal)
    return slices


def _header(path: Path) -> pydicom.Dataset:
    with dicom_errors(path, "a DICOM file"):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        kind = header.get("SOPClassUID")
        image_type = [str(word).upper() for word in header.get("ImageType") or ()]
        missing = [name for name in NEEDED if header.get(name) is None]
    if kind != CT_IMAGE:
        name = getattr(kind, "name", kind)
        _refuse(path, "a CT image of one frame", f"{name}", "convert it, e.g. with dcm2niix")
    if "LOCALIZER" in image_type:
        _refuse(path, "an axial slice", "a localizer (scout)", "move it out of the folder")
    if missing:
        _refuse(path, "a CT slice with its geometry and rescale", f"no {', '.join(missing)}", "")
    return header


def _position(header: pydicom.Dataset) -> Floats:
    return np.array([float(number) for number in header.ImagePositionPatient])


def _directions(header: pydicom.Dataset) -> Floats:
    """Directions along a row and along a column (2, 3)."""
    return np.array([float(number) for number in header.ImageOrientationPatient]).reshape(2, 3)


def _normal(header: pydicom.Dataset) -> Floats:
    row, column = _directions(header)
    return np.asarray(np.cross(row, column))


def _check_equal_geometry(files: list[Path], headers: list[pydicom.Dataset]) -> None:
    def geometry(header: pydicom.Dataset) -> Floats:
        numbers = [float(number) for number in (*header.PixelSpacing, header.Rows, header.Columns)]
        return np.array([*numbers, *_directions(header).ravel()])

    with dicom_errors(files[0], "a slice with its geometry"):
        first = geometry(headers[0])
    for path, header in zip(files, headers, strict=True):
        with dicom_errors(path, "a slice with its geometry"):
            differs = np.abs(geometry(header) - first).max() > GEOMETRY_TOLERANCE
        if differs:
            _refuse(
                path,
                f"size, spacing and orientation of {files[0].name}",
                "others",
                "put slices of another geometry into a folder of their own",
            )


def _check_complete(folder: Path, slices: list[Slice]) -> None:
    steps = np.diff([item.position_mm for item in slices])
    usual = float(np.median(steps))
    if steps.min() < GAP_TOLERANCE * max(usual, 1e-3):
        at = slices[int(steps.argmin()) + 1].path.name
        _refuse(folder, "one slice at each position", f"two at that of {at}", "keep one of them")
    if steps.max() > (1 + GAP_TOLERANCE) * usual:
        place = int(steps.argmax())
        names = f"{slices[place].path.name} and {slices[place + 1].path.name}"
        _refuse(
            folder,
            f"a slice every {usual:g} mm",
            f"{steps[place]:g} mm between {names}",
            "slices are missing: copy the whole series",
        )
    promised = slices[0].header.get("ImagesInAcquisition")
    acquisitions = {item.header.get("AcquisitionNumber") for item in slices}
    if promised and len(acquisitions) == 1 and int(promised) > len(slices):
        _refuse(
            folder,
            f"{promised} slices, as the headers say",
            f"{len(slices)}",
            "the series is truncated: copy the whole series",
        )


def _check_stack(folder: Path, slices: list[Slice], normal: Floats) -> None:
    first, last = _position(slices[0].header), _position(slices[-1].header)
    along = slices[-1].position_mm - slices[0].position_mm
    sideways = (last - first) - along * normal
    if np.linalg.norm(sideways) > MAX_TILT_MM * along:
        degrees = float(np.degrees(np.arctan2(np.linalg.norm(sideways), along)))
        _refuse(
            folder,
            "slices stacked along their normal",
            f"a gantry tilt of {degrees:.1f} degrees",
            "correct the tilt first, e.g. with dcm2niix",
        )


def _grid(folder: Path, slices: list[Slice]) -> Grid:
    header = slices[0].header
    row, column = _directions(header)
    down_mm, across_mm = (float(number) for number in header.PixelSpacing)
    first, last = _position(header), _position(slices[-1].header)
    affine = np.eye(4)
    affine[:3, 0] = row * across_mm  # from column to column
    affine[:3, 1] = column * down_mm
    affine[:3, 2] = (last - first) / (len(slices) - 1)
    affine[:3, 3] = first
    try:
        return Grid((int(header.Columns), int(header.Rows), len(slices)), affine)
    except ValueError as error:
        raise DataError.from_problems(
            [Problem(folder.name, "a usable geometry", str(error))]
        ) from error


def _hounsfield(item: Slice) -> Floats32:
    """Hounsfield units (rows, columns) of a slice; padding around the scan becomes air."""
    with dicom_errors(
        item.path,
        "complete pixel data that can be decoded",
        "copy the file again; compressed files need `pip install pneumoloc[dicom]`",
    ):
        dataset = pydicom.dcmread(item.path)
        levels = np.asarray(dataset.pixel_array)
        slope, intercept = float(dataset.RescaleSlope), float(dataset.RescaleIntercept)
        shape = (int(item.header.Rows), int(item.header.Columns))
        if levels.shape != shape:
            raise ValueError(f"pixels of shape {levels.shape}")
        if not np.isfinite([slope, intercept]).all() or slope == 0:
            raise ValueError(f"rescale slope {slope}, intercept {intercept}")
        hu = levels.astype(np.float32) * np.float32(slope) + np.float32(intercept)
        padding = dataset.get("PixelPaddingValue")
        if padding is not None:
            hu[levels == int(padding)] = AIR_HU
    return hu


def _refuse(path: Path, expected: str, got: str, fix: str) -> NoReturn:
    """Raise; only the last name of the path is shown: folders can name patients."""
    raise DataError.from_problems([Problem(path.name, expected, got, fix=fix)])
