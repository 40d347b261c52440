"""NIfTI files: volumes, label maps and maps on their grid. Needs nibabel (`pneumoloc[volumes]`).

NIfTI's world is RAS (x to the patient's right); ours is LPS. A NIfTI file holds a header and
numbers only: nothing in it can run.
"""

from __future__ import annotations

import importlib.metadata
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_manifests.films.read_film import film_error
from data_manifests.support.atomic import atomic_path
from data_manifests.support.errors import ConfigError
from data_manifests.volumes.grid import Grid
from data_manifests.volumes.volume import LabelMap, Volume

if TYPE_CHECKING:
    import nibabel

NIFTI_SUFFIXES = (".nii", ".nii.gz")
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
MAX_VOXELS = 2**31  # 12 times a 512 x 512 x 700 volume: more is a damaged header
UNITS_MM = 2  # NIFTI_UNITS_MM
ALIGNED = 1  # of the form codes: coordinates of the scanner or another image
HU_RANGE = (-5000.0, 40000.0)  # metal reaches 32767; scaled to [0, 1] or RGB is no CT


def is_nifti(path: Path) -> bool:
    """Whether a path has the name of a NIfTI file."""
    return path.name.lower().endswith(NIFTI_SUFFIXES)


def read_nifti(path: Path) -> Volume:
    """A CT volume of Hounsfield units.

    Raises:
        DataError: no NIfTI file, truncated, not three-dimensional, sheared axes, no orientation,
            or values that are no Hounsfield units.
        ConfigError: nibabel is not installed.
    """
    image = _open(path)
    grid = _grid(path, image)
    hu = _numbers(path, image, np.float32)
    low, high = float(hu.min()), float(hu.max())
    if not (HU_RANGE[0] <= low and high <= HU_RANGE[1] and high - low > 50 and low < 0):
        raise film_error(
            path,
            "Hounsfield units, air below 0",
            f"values from {low:g} to {high:g}",
            "write the volume with its rescale slope and intercept applied",
        )
    return Volume(hu, grid, path)


def read_label_map(path: Path, *, channel: int | None = None) -> LabelMap:
    """A map of whole numbers; of a four-dimensional file the `channel` along its extra axis.

    The extra axis is the first or the last, whichever the affine's three axes leave over: the
    published sets have either.

    Raises:
        DataError: as `read_nifti`; values that are no whole numbers; no such channel.
    """
    image = _open(path)
    if channel is None:
        grid = _grid(path, image)
        values = _numbers(path, image, np.float32)
    else:
        grid, values = _channel(path, image, channel)
    whole = np.rint(values)
    if np.abs(values - whole).max() > 1e-3 or whole.min() < 0:
        raise film_error(path, "labels: whole numbers from 0 on", "other values")
    return LabelMap(whole.astype(np.int64), grid, path)


def write_nifti(path: Path, values: NDArray[Any], grid: Grid) -> None:
    """Write values (X, Y, Z) with their place in the patient; `.gz` is compressed."""
    require_nibabel()
    import nibabel

    image = nibabel.Nifti1Image(values, RAS_TO_LPS @ grid.affine)
    image.header.set_xyzt_units(xyz=UNITS_MM)
    image.set_sform(image.affine, code=ALIGNED)
    image.set_qform(image.affine, code=ALIGNED)
    with atomic_path(path) as temporary:
        # The temporary name ends with the last suffix alone, `.gz`.
        content = image.to_bytes()
        if path.name.endswith(".gz"):
            compressor = zlib.compressobj(1, zlib.DEFLATED, 31)  # gzip without a time stamp
            content = compressor.compress(content) + compressor.flush()
        temporary.write_bytes(content)


def require_nibabel() -> None:
    """Raise ConfigError where nibabel is not installed, with how to install it."""
    try:
        importlib.metadata.version("nibabel")
    except importlib.metadata.PackageNotFoundError as error:
        raise ConfigError("NIfTI files need nibabel: pip install pneumoloc[volumes]") from error


def _open(path: Path) -> nibabel.Nifti1Image:
    require_nibabel()
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    if not path.is_file():
        raise film_error(path, "a NIfTI file", "no such file", "check the path")
    try:
        image = nibabel.load(path)
    except (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, zlib.error) as error:
        raise film_error(path, "a NIfTI file", _first_line(error)) from error
    if not isinstance(image, nibabel.Nifti1Pair):
        raise film_error(path, "a NIfTI file", type(image).__name__)
    if np.prod(image.shape, dtype=np.float64) > MAX_VOXELS or min(image.shape, default=0) < 1:
        raise film_error(path, f"1 to {MAX_VOXELS:,} voxels", f"shape {image.shape}")
    return image


def _grid(path: Path, image: nibabel.Nifti1Image) -> Grid:
    shape = image.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3:
        raise film_error(path, "a volume of three dimensions", f"shape {image.shape}")
    return _grid_of_shape(path, image, (int(shape[0]), int(shape[1]), int(shape[2])))


def _grid_of_shape(path: Path, image: nibabel.Nifti1Image, shape: tuple[int, int, int]) -> Grid:
    if not int(image.header["qform_code"]) and not int(image.header["sform_code"]):
        raise film_error(
            path,
            "a place in the patient (qform or sform)",
            "none",
            "convert the DICOM series again, e.g. with dcm2niix",
        )
    try:
        grid = Grid(shape, RAS_TO_LPS @ np.asarray(image.affine, dtype=np.float64))
    except ValueError as error:
        raise film_error(path, "a usable affine", str(error)) from error
    if grid.is_sheared:
        raise film_error(
            path, "square axes", "sheared ones (gantry tilt)", "resample it to square axes first"
        )
    return grid


def _channel(
    path: Path, image: nibabel.Nifti1Image, channel: int
) -> tuple[Grid, NDArray[np.float32]]:
    shape = image.shape
    if len(shape) != 4:
        raise film_error(path, "a map of four dimensions", f"shape {shape}")
    # A volume has far more voxels along each axis than a report has findings.
    axis = 0 if shape[0] <= shape[3] else 3
    if not 0 <= channel < shape[axis]:
        raise film_error(path, f"a channel {channel}", f"{shape[axis]} channels")
    rest = tuple(int(count) for place, count in enumerate(shape) if place != axis)
    grid = _grid_of_shape(path, image, (rest[0], rest[1], rest[2]))
    try:
        part = image.slicer[channel : channel + 1] if axis == 0 else image.dataobj[..., channel]
        values = np.asarray(part.dataobj if axis == 0 else part, dtype=np.float32).reshape(rest)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise film_error(path, "complete data", _first_line(error)) from error
    return grid, values


def _numbers(path: Path, image: nibabel.Nifti1Image, dtype: type[np.float32]) -> NDArray[Any]:
    try:
        values = np.asarray(image.dataobj, dtype=dtype)
    except (OSError, EOFError, ValueError, TypeError, zlib.error) as error:
        raise film_error(
            path, "complete data", _first_line(error), "copy the file again"
        ) from error
    values = values.reshape(values.shape[:3])
    if not np.isfinite(values).all():
        raise film_error(path, "finite values", "not a number or infinity")
    return values


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
