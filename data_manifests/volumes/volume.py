"""`Volume`: Hounsfield units on a grid; resampling and the window that a network sees."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from data_manifests.support.arrays import Floats32, Ints
from data_manifests.volumes.grid import Grid

AIR_HU = -1024.0
# Lung to bone: what a chest report describes lies between.
WINDOW_HU = (-1000.0, 1000.0)


@dataclass(frozen=True)
class Volume:
    """A CT volume.

    Args:
        hu: float32 (X, Y, Z), Hounsfield units.
        grid: where the voxels lie.
        path: the NIfTI file or the folder of the DICOM series.
        notes: what is odd, in words.
    """

    hu: Floats32
    grid: Grid
    path: Path
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.hu.shape != self.grid.shape or self.hu.dtype != np.float32:
            raise ValueError(
                f"hu must be float32 with shape {self.grid.shape}, "
                f"but got {self.hu.dtype} {self.hu.shape}"
            )


@dataclass(frozen=True)
class LabelMap:
    """Whole numbers (X, Y, Z) on a grid: organs or regions; 0 is nothing."""

    values: Ints
    grid: Grid
    path: Path

    def __post_init__(self) -> None:
        if self.values.shape != self.grid.shape:
            raise ValueError(
                f"values must have shape {self.grid.shape}, but got {self.values.shape}"
            )


def resample(
    values: NDArray[Any], grid: Grid, target: Grid, *, fill: float, nearest: bool = False
) -> NDArray[Any]:  # Any: the number type that came in
    """`values` (X, Y, Z) of `grid` at the voxel centres of `target`; `fill` outside.

    Linear, after a mean over the source voxels of a coarser target voxel; or the `nearest` value,
    for labels.
    """
    if grid.shape == target.shape and np.allclose(grid.affine, target.affine, atol=1e-6):
        return values
    matrix = np.linalg.inv(grid.affine) @ target.affine
    if not nearest:
        step = np.abs(matrix[:3, :3]).max(axis=1)  # source voxels from one target voxel to the next
        sizes = [max(1, int(count)) for count in np.rint(step)]
        if max(sizes) > 1:
            values = ndimage.uniform_filter(values, sizes, mode="nearest")
    result: NDArray[Any] = ndimage.affine_transform(
        values,
        matrix[:3, :3],
        matrix[:3, 3],
        output_shape=target.shape,
        order=0 if nearest else 1,
        mode="grid-constant",
        cval=fill,
    )
    return result


def windowed(hu: Floats32) -> Floats32:
    """Hounsfield units as grey levels in [0, 1], linear inside `WINDOW_HU`."""
    low, high = WINDOW_HU
    grey: Floats32 = np.clip((hu - np.float32(low)) / np.float32(high - low), 0, 1)
    return grey
