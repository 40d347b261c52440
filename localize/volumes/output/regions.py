"""`find_regions`: the connected regions of a thresholded map, as boxes in the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from data_manifests.support.arrays import Bools, Floats
from data_manifests.volumes.grid import Grid

MAX_REGIONS = 20
MIN_VOLUME_ML = 0.02  # a cube of 2.7 mm: smaller ones are noise of the threshold


@dataclass(frozen=True)
class Region:
    """A connected region of a map.

    Args:
        centre_mm: centre of its box (3,), LPS mm.
        size_mm: edge lengths of its box (3,) along the axes of `directions`.
        directions: unit vectors of the volume's axes as columns (3, 3), LPS.
        volume_ml: its volume.
    """

    centre_mm: Floats
    size_mm: Floats
    directions: Floats
    volume_ml: float

    @property
    def low_mm(self) -> Floats:
        """The low corner (3,) of the box along the patient's axes that holds the region's box."""
        return np.asarray(self.centre_mm - self._half())

    @property
    def high_mm(self) -> Floats:
        """The high corner (3,) of the same box."""
        return np.asarray(self.centre_mm + self._half())

    def _half(self) -> Floats:
        return np.asarray(np.abs(self.directions) @ (self.size_mm / 2))


def find_regions(mask: Bools, grid: Grid) -> list[Region]:
    """The regions of a mask (X, Y, Z), largest first, at most 20; tiny ones are left out.

    Voxels that share a face, an edge or a corner are connected.
    """
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    counts = np.bincount(labels.ravel())
    spacing = grid.spacing_mm
    directions = grid.affine[:3, :3] / spacing
    voxel_ml = float(np.prod(spacing)) / 1000
    regions = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        volume_ml = float(counts[number]) * voxel_ml
        if volume_ml < MIN_VOLUME_ML:
            continue
        low = np.array([part.start for part in box]) - 0.5
        high = np.array([part.stop for part in box]) - 0.5
        centre = grid.to_world(((low + high) / 2)[None])[0]
        regions.append(Region(centre, (high - low) * spacing, directions, volume_ml))
    return sorted(regions, key=lambda region: -region.volume_ml)[:MAX_REGIONS]
