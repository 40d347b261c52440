"""`plant_anomalies`: the anomalies of a phantom volume, drawn and burnt into its chest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from data_manifests.phantom_volumes.chest import LABELS, LUNG_LABELS, Chest
from data_manifests.support.arrays import Bools, Floats, Floats32, Ints

LOBES = {
    "right upper lobe": "lung_upper_lobe_right",
    "right middle lobe": "lung_middle_lobe_right",
    "right lower lobe": "lung_lower_lobe_right",
    "left upper lobe": "lung_upper_lobe_left",
    "left lower lobe": "lung_lower_lobe_left",
}
# Places of nodes in the chest's own frame, mm.
STATIONS = {
    "right paratracheal": (-22, 4, 52),
    "prevascular": (12, -42, 38),
    "subcarinal": (0, 18, 8),
    "right hilar": (-30, 8, 2),
    "left hilar": (38, 8, 0),
}
NODULE, CONSOLIDATION, GROUND_GLASS = "nodule", "consolidation", "ground glass opacity"
EFFUSION, NODE, CALCIFICATION, CYST = "effusion", "lymph node", "calcification", "cyst"
# How often each type is planted.
WEIGHTS = {
    NODULE: 0.30, CONSOLIDATION: 0.16, GROUND_GLASS: 0.14, EFFUSION: 0.12, NODE: 0.12,
    CALCIFICATION: 0.10, CYST: 0.06,
}  # fmt: skip
HU = {NODULE: 40.0, CONSOLIDATION: 20.0, GROUND_GLASS: -480.0, EFFUSION: 8.0, NODE: 60.0,
      CALCIFICATION: 900.0, CYST: -5.0}  # fmt: skip
MIN_VOXELS = 4
GAP_VOXELS = 1  # between two anomalies, so that each is a region of its own
TRIES = 12


@dataclass(frozen=True)
class Planted:
    """An anomaly: its type, organ, place in words, longest diameter, and voxels (X, Y, Z)."""

    type: str
    organ: str
    place: str
    size_mm: int
    mask: Bools


def plant_anomalies(
    rng: np.random.Generator, chest: Chest, count: int
) -> tuple[Floats32, list[Planted]]:
    """Hounsfield units with up to `count` anomalies, and the anomalies.

    Types repeat on purpose: the second anomaly is often of the type of the first, at another place.
    """
    hu = chest.hu.copy()
    taken = np.zeros(hu.shape, dtype=bool)
    planted: list[Planted] = []
    names, weights = list(WEIGHTS), np.array(list(WEIGHTS.values()))
    for number in range(count):
        kind = str(rng.choice(names, p=weights / weights.sum()))
        if number == 1 and rng.random() < 0.6:
            kind = planted[0].type if planted else kind
        for _ in range(TRIES):
            candidate = _draw(rng, chest, kind)
            same_place = [
                one for one in planted if (one.type, one.place) == (kind, candidate.place)
            ]
            if (
                not same_place
                and candidate.mask.sum() >= MIN_VOXELS
                and not (taken & candidate.mask).any()
            ):
                planted.append(candidate)
                taken |= ndimage.binary_dilation(candidate.mask, iterations=GAP_VOXELS)
                hu[candidate.mask] = HU[kind]
                break
    return hu, planted


def _draw(rng: np.random.Generator, chest: Chest, kind: str) -> Planted:
    if kind == EFFUSION:
        return _effusion(rng, chest)
    if kind == NODE:
        place = str(rng.choice(list(STATIONS)))
        centre = np.array(STATIONS[place]) + rng.normal(0, 3, 3)
        radius = rng.uniform(10, 15)
        free = chest.body & ~np.isin(
            chest.labels, (LABELS["aorta"], LABELS["trachea"], LABELS["bones"])
        )
        return Planted(
            kind, "mediastinum", place, round(2 * radius), _ball(chest, centre, radius) & free
        )
    if kind == CYST or (kind == CALCIFICATION and rng.random() < 0.35):
        inside = chest.labels == LABELS["liver"]
        radius = rng.uniform(12, 19) if kind == CYST else rng.uniform(8, 11)
        mask = _ball(chest, _point(rng, chest, inside), radius) & inside
        return Planted(kind, "liver", "liver", round(2 * radius), mask)
    if kind == CALCIFICATION and rng.random() < 0.5:
        inside = chest.labels == LABELS["aorta"]
        radius = rng.uniform(9, 12)
        mask = _ball(chest, _point(rng, chest, inside), radius) & inside
        return Planted(kind, "aorta", "aorta", round(2 * radius), mask)
    lobe = str(rng.choice(list(LOBES)))
    inside = chest.labels == LABELS[LOBES[lobe]]
    centre = _point(rng, chest, inside)
    place = segment_of(lobe, centre) if rng.random() < 0.35 else lobe
    if kind in (NODULE, CALCIFICATION):
        radius = rng.uniform(9, 16) if kind == NODULE else rng.uniform(8, 10)
        lung = np.isin(chest.labels, LUNG_LABELS)
        return Planted(kind, "lung", place, round(2 * radius), _ball(chest, centre, radius) & lung)
    axes = rng.uniform(20, 36, 3)
    mask = (((chest.points - centre) / axes) ** 2).sum(axis=-1) < 1
    return Planted(kind, "lung", place, round(2 * float(axes.max())), mask & inside)


def segment_of(lobe: str, centre: Floats) -> str:
    """The segment of a lobe around a point of the chest's own frame, in words."""
    x, y, z = centre
    if lobe.endswith("upper lobe"):
        if lobe == "left upper lobe" and z < -5:
            return "lingula"
        part = "apical" if z > 45 else "anterior" if y < 0 else "posterior"
    elif lobe == "right middle lobe":
        part = "lateral" if abs(x) > 65 else "medial"
    else:
        part = "superior" if z > -5 else "posterior basal" if y > 25 else "lateral basal"
    return f"{part} segment of the {lobe}"


def _effusion(rng: np.random.Generator, chest: Chest) -> Planted:
    """Fluid in the back and base of a hemithorax, with a level that slopes."""
    side = "right" if rng.random() < 0.5 else "left"
    lung = np.isin(chest.labels, [LABELS[name] for name in LABELS if name.endswith(f"lobe_{side}")])
    depth = rng.uniform(22, 48)
    _, y, z = np.moveaxis(chest.points, -1, 0)
    mask = lung & (y - 0.25 * z > 86 - depth)
    return Planted(EFFUSION, "pleura", side, round(depth), mask)


def _ball(chest: Chest, centre: Floats, radius: float) -> Bools:
    return np.asarray(((chest.points - centre) ** 2).sum(axis=-1) < radius**2)


def _point(rng: np.random.Generator, chest: Chest, inside: Bools) -> Floats:
    """A point (3,) well inside a region, in the chest's own frame."""
    deep = ndimage.binary_erosion(inside)
    places: Ints = np.argwhere(deep if deep.any() else inside)
    if len(places) == 0:
        return np.zeros(3)
    point = chest.points[tuple(places[rng.integers(len(places))])]
    return np.asarray(point, dtype=np.float64)
