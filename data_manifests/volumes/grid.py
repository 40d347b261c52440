"""`Grid`: where the voxels of a volume lie in the patient.

Arrays of volumes are (X, Y, Z) in the order of their file's own axes. World coordinates are
millimetres in DICOM's patient frame, LPS (PS3.3 C.7.6.2.1.1): x to the patient's left, y to the
back, z to the head. An affine maps the index of a voxel's centre to its world point.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from data_manifests.support.arrays import Floats

# Columns of an affine that are less square than this are a shear: a gantry tilt.
MAX_COSINE = 0.01  # 0.6 degrees
# An axis-aligned volume whose edge is so close to a whole voxel needs no further one.
EDGE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Grid:
    """`shape` voxels along the three axes and their `affine` (4, 4) from index to LPS mm."""

    shape: tuple[int, int, int]
    affine: Floats

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"shape must be three positive numbers, but got {self.shape}")
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all():
            raise ValueError(f"affine must be finite with shape (4, 4), but got {self.affine}")
        if abs(np.linalg.det(self.affine[:3, :3])) < 1e-9:
            raise ValueError("affine must be invertible, but its axes lie in one plane")

    @property
    def spacing_mm(self) -> Floats:
        """Distance of neighbouring voxels along each axis (3,)."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def is_sheared(self) -> bool:
        """Whether two axes are not square to each other, as with a gantry tilt."""
        axes = self.affine[:3, :3] / self.spacing_mm
        return bool(np.abs(axes.T @ axes - np.eye(3)).max() > MAX_COSINE)

    def to_world(self, indices: Floats) -> Floats:
        """World points (N, 3) of voxel indices (N, 3); whole numbers are voxel centres."""
        return np.asarray(indices @ self.affine[:3, :3].T + self.affine[:3, 3])

    def to_index(self, points: Floats) -> Floats:
        """Voxel indices (N, 3) of world points (N, 3)."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray(points @ inverse[:3, :3].T + inverse[:3, 3])

    def same_as(self, other: Grid, tolerance_mm: float = 0.1) -> bool:
        """Whether both have the same voxels at the same places."""
        if self.shape != other.shape:
            return False
        corners = _corners(self)
        return bool(np.abs(self.to_world(corners) - other.to_world(corners)).max() < tolerance_mm)


def patient_grid(grid: Grid, spacing_mm: float) -> Grid:
    """The grid along the patient's own axes (L, P, S) that covers `grid` with cubic voxels.

    It begins at the low corner of what `grid` covers; flips and permutations of a grid have the
    same patient grid.
    """
    edges = grid.to_world(_corners(grid, half_voxel=0.5))
    low, high = edges.min(axis=0), edges.max(axis=0)
    counts = np.ceil((high - low) / spacing_mm - EDGE_TOLERANCE).astype(int)
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = low + spacing_mm / 2
    nx, ny, nz = (max(1, int(count)) for count in counts)
    return Grid((nx, ny, nz), affine)


def _corners(grid: Grid, half_voxel: float = 0.0) -> Floats:
    """Indices (8, 3) of the corners: voxel centres, or edges with `half_voxel` 0.5."""
    ends = [(-half_voxel, count - 1 + half_voxel) for count in grid.shape]
    return np.array(list(product(*ends)), dtype=np.float64)
