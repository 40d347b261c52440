"""`make_chest`: the healthy chest of a phantom volume: organs as labels and Hounsfield units.

Everything is drawn in millimetres of the patient frame LPS (x to the left, y to the back, z to the
head) around the middle of the chest, so that any voxel size gives the same chest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from data_manifests.support.arrays import Bools, Floats, Floats32, Ints
from data_manifests.volumes.grid import Grid
from data_manifests.volumes.organ_labels import ORGANS

# Label values of the phantom, by organ; `fat` is background inside the body.
LABELS = {
    name: ORGANS.index(name) + 1
    for name in (
        "lung_upper_lobe_right", "lung_middle_lobe_right", "lung_lower_lobe_right",
        "lung_upper_lobe_left", "lung_lower_lobe_left", "trachea", "heart", "aorta", "bones",
        "liver", "spleen",
    )
}  # fmt: skip
LUNG_LABELS = tuple(LABELS[name] for name in LABELS if name.startswith("lung"))
HU = {"lung": -830.0, "trachea": -990.0, "heart": 40.0, "aorta": 55.0, "bones": 420.0,
      "liver": 62.0, "spleen": 50.0}  # fmt: skip
AIR, FAT, MUSCLE = -1000.0, -90.0, 45.0


@dataclass(frozen=True)
class Chest:
    """A healthy chest.

    Args:
        hu: float32 (X, Y, Z) without noise.
        labels: organ labels (X, Y, Z), the values of `LABELS`.
        points: coordinates (X, Y, Z, 3) of the voxels in this chest's own frame, mm: the same
            place of another patient has the same coordinates.
        body: voxels inside the body.
    """

    hu: Floats32
    labels: Ints
    points: Floats32
    body: Bools


def make_chest(rng: np.random.Generator, grid: Grid) -> Chest:
    """Draw a chest of its own size, position, turn and fissures on a grid around the origin."""
    points = _own_frame(rng, grid)
    x, y, z = np.moveaxis(points, -1, 0)
    body = (x / 158) ** 2 + (y / 112) ** 2 < 1
    hu = np.where(body, FAT, AIR)
    radius = np.sqrt((x / 158) ** 2 + (y / 112) ** 2)
    hu[body & (radius > 0.80) & (radius < 0.95)] = MUSCLE
    labels = np.zeros(grid.shape, dtype=np.int64)

    def put(name: str, where: Bools) -> None:
        labels[where] = LABELS[name]
        hu[where] = HU["lung" if name.startswith("lung") else name]

    ribs = np.sin((z + 0.45 * y) * 2 * np.pi / 34) > 0.35
    put("bones", body & (radius > 0.83) & (radius < 0.93) & ribs & (np.abs(x) > 25))
    put("bones", x**2 + (y - 78) ** 2 < 19**2)
    put("bones", (np.abs(x) < 16) & (np.abs(y + 97) < 8) & (z > -60))
    liver = _ellipsoid(points, (-62, -5, -118), (84, 84, 52))
    spleen = _ellipsoid(points, (78, 28, -122), (50, 58, 40))
    heart = _ellipsoid(points, (22, -28, -45), (52, 42, 50))
    for side, sign in (("right", -1), ("left", 1)):
        lung = _ellipsoid(points, (sign * 70, -2, -8), (53, 80, 112))
        lung &= ~liver & ~spleen & ~heart & (radius < 0.80) & (sign * x > 14)
        for lobe, where in _lobes(side, y, z, rng.normal(0, 6, 2)):
            put(f"lung_{lobe}_lobe_{side}", lung & where)
    put("heart", heart & body)
    put("aorta", (x - 20) ** 2 + (y - 44) ** 2 < 13**2)
    put("aorta", ((x + 6) ** 2 + (y + 8) ** 2 < 14**2) & (z > -10) & (z < 44))
    put("aorta", _ellipsoid(points, (8, 18, 44), (24, 38, 12)))
    put("trachea", (x**2 + (y - 8) ** 2 < 9**2) & (z > 30) & (labels != LABELS["aorta"]))
    put("liver", liver & body & (radius < 0.80))
    put("spleen", spleen & body & (radius < 0.80) & (labels == 0))
    return Chest(hu.astype(np.float32), labels, points.astype(np.float32), body)


def add_texture(rng: np.random.Generator, hu: Floats32, labels: Ints) -> Floats32:
    """Partial volume, the lungs' vessels and quantum noise."""
    texture = ndimage.gaussian_filter(rng.normal(0, 1, hu.shape), 0.8)
    in_lung = np.isin(labels, LUNG_LABELS)
    vessels = np.where(in_lung & (texture > 1.9 * texture.std()), 260.0, 0.0)
    noisy = ndimage.gaussian_filter(hu, 0.35) + vessels + rng.normal(0, 28, hu.shape)
    return np.asarray(np.clip(noisy, -1024, 3000), dtype=np.float32)


def _own_frame(rng: np.random.Generator, grid: Grid) -> Floats:
    indices = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    world = grid.to_world(indices.reshape(-1, 3).astype(float))
    size = rng.uniform(0.88, 1.08, 3)
    shift = rng.uniform(-1, 1, 3) * (18, 12, 16)
    turn = np.radians(rng.uniform(-9, 9))
    rotation = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    return np.asarray(((world - shift) @ rotation / size).reshape(*grid.shape, 3))


def _ellipsoid(
    points: Floats, centre: tuple[float, float, float], axes: tuple[float, float, float]
) -> Bools:
    return np.asarray((((points - np.array(centre)) / np.array(axes)) ** 2).sum(axis=-1) < 1)


def _lobes(side: str, y: Floats, z: Floats, offsets: Floats) -> list[tuple[str, Bools]]:
    """The lobes of a lung: the oblique fissure rises to the back, the horizontal one is level."""
    is_lower = z < -12 + offsets[0] + 0.85 * y
    if side == "left":
        return [("upper", ~is_lower), ("lower", is_lower)]
    is_upper = z > -2 + offsets[1]
    return [
        ("upper", ~is_lower & is_upper), ("middle", ~is_lower & ~is_upper), ("lower", is_lower),
    ]  # fmt: skip
