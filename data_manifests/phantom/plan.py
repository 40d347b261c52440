"""What is planted: the opacity's blobs and the distracting findings, drawn before any pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_manifests.laterality import SIDES_ACROSS_FILM
from data_manifests.phantom.domains import EXTENTS, TEXTURES, ZONES, Domain, Weights

RIGHT, LEFT = 0, 1  # the patient's sides, indices into SIDES_ACROSS_FILM
MAX_BLOBS = 4

# Where a blob of a zone is centred: ranges of s (0 at the midline's border of the lung, 1 at the
# wall) and t (0 apex, 1 dome).
ZONE_PLACES = {
    "apical": ((0.30, 0.60), (0.10, 0.15)),
    "upper": ((0.30, 0.65), (0.18, 0.25)),
    "middle": ((0.35, 0.70), (0.44, 0.58)),
    "perihilar": ((0.14, 0.22), (0.46, 0.54)),
    "lingular": ((0.46, 0.58), (0.62, 0.72)),
    "lower": ((0.40, 0.68), (0.76, 0.86)),
    "basal": ((0.38, 0.72), (0.90, 0.97)),
    "retrocardiac": ((0.12, 0.20), (0.76, 0.86)),
}
# Half heights stay within the room that the zone leaves.
ZONE_ROOM = {
    "apical": 0.10,
    "upper": 0.165,
    "middle": 0.20,
    "perihilar": 0.15,
    "lingular": 0.125,
    "lower": 0.18,
    "basal": 0.13,
    "retrocardiac": 0.12,
}
BELOW = ("lower", "basal", "lingular", "retrocardiac")
LEFT_ONLY = ("lingular", "retrocardiac")


@dataclass(frozen=True)
class Blob:
    """One opacity region of one lung in lung coordinates (see `ZONE_PLACES`)."""

    side: int
    zone: str  # where it was aimed; the truth is measured on the film
    s: float
    t: float
    half_width: float  # of the frame
    half_height: float
    tilt_deg: float
    density: float  # attenuation added where the lung is deep


@dataclass(frozen=True)
class OpacityPlan:
    """The planted opacity of a film; no blobs means a film without one."""

    extent: str
    texture: str
    blobs: tuple[Blob, ...]
    softness: float


@dataclass(frozen=True)
class Distractors:
    """Findings that are not the opacity. Sides are RIGHT/LEFT, None means absent."""

    effusion_side: int | None
    effusion_size: float  # 0 small to 1 large
    nodule_side: int | None
    nodule_place: tuple[float, float]
    nodule_radius: float
    atelectasis_side: int | None
    atelectasis_place: tuple[float, float]
    heart_scale: float
    has_cardiomegaly: bool
    has_congestion: bool
    is_rib_dense: bool
    devices: tuple[str, ...]


DEVICES = ("pacemaker", "central line", "endotracheal tube", "electrodes", "sternotomy wires")
DEVICE_WEIGHTS = (0.18, 0.26, 0.14, 0.28, 0.14)


def pick(rng: np.random.Generator, names: tuple[str, ...], weights: Weights) -> str:
    """One of `names`, with one uniform number whatever the weights are.

    A single draw keeps the rest of the stream in step, so cases of neighbouring shifts stay paired.
    """
    edges = np.cumsum(weights) / np.sum(weights)
    return names[int(np.searchsorted(edges, rng.random(), side="right").clip(0, len(names) - 1))]


def plan_opacity(rng: np.random.Generator, domain: Domain) -> OpacityPlan:
    """Draw an opacity of controlled side, zone, extent, texture and severity."""
    extent = pick(rng, EXTENTS, domain.extents)
    texture = pick(rng, TEXTURES, domain.textures)
    side = pick(rng, (*SIDES_ACROSS_FILM, "both"), domain.sides)
    grade = float(rng.beta(1.3, 1.6))  # latent severity: larger and denser together
    zones = [pick(rng, ZONES, domain.zones) for _ in range(MAX_BLOBS)]
    jitter = rng.random((MAX_BLOBS, 6))
    is_mirrored = bool(rng.random() < 0.55)  # both lungs affected in the same zone
    first = RIGHT if side == "right" else LEFT if side == "left" else int(rng.random() < 0.5)
    if extent == "focal" and side == "both":  # one focus has one side
        side = SIDES_ACROSS_FILM[first]
    if extent == "diffuse":
        sides = (RIGHT, LEFT) if side == "both" else (first,)
        blobs = [_diffuse(lung, grade, jitter[lung], domain) for lung in sides]
    elif extent == "focal":
        blobs = [_focal(first, zones[0], grade, jitter[0], domain, 1.0)]
    else:
        blobs = _multifocal(side, first, zones, grade, jitter, domain, is_mirrored)
    return OpacityPlan(
        extent=extent,
        texture=texture,
        blobs=tuple(blobs),
        softness=domain.edge + (0.30 if texture == "hazy" else 0.0),
    )


def _multifocal(
    side: str,
    first: int,
    zones: list[str],
    grade: float,
    jitter: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    domain: Domain,
    is_mirrored: bool,
) -> list[Blob]:
    """Two to four separate blobs, smaller than a single focus."""
    if side == "both":
        lungs = [first, 1 - first, first, 1 - first][: 2 + int(grade > 0.45) + int(grade > 0.7)]
        if is_mirrored and zones[0] not in LEFT_ONLY:
            zones = [zones[0], zones[0], *zones[2:]]
    else:
        lungs = [first] * 2
        zones = ["upper", *zones[1:]] if zones[1] in BELOW else ["lower", "upper"]
    blobs: list[Blob] = []
    for lung, zone, numbers in zip(lungs, zones, jitter, strict=False):
        taken = [blob.t for blob in blobs if blob.side == lung]
        for place in (zone, "upper", "lower"):  # not on top of the lung's other blob
            blob = _focal(lung, place, grade, numbers, domain, 0.82)
            if all(abs(t - blob.t) > 0.40 for t in taken):
                blobs.append(blob)
                break
    return blobs


def _focal(
    side: int,
    zone: str,
    grade: float,
    numbers: np.ndarray[tuple[int], np.dtype[np.float64]],
    domain: Domain,
    size: float,
) -> Blob:
    if side == RIGHT and zone in LEFT_ONLY:
        zone = "lower" if zone == "retrocardiac" else "middle"
    (s_low, s_high), (t_low, t_high) = ZONE_PLACES[zone]
    half_width = (0.098 + 0.075 * grade) * (0.80 + 0.40 * numbers[2]) * size * domain.extent
    half_height = half_width * (1.15 + 0.70 * numbers[3])
    half_height = min(half_height, ZONE_ROOM[zone] * (0.85 + 0.3 * numbers[3]))
    if zone in ("perihilar", "retrocardiac", "lingular"):
        half_width = min(half_width, 0.10)
    return Blob(
        side=side,
        zone=zone,
        s=float(s_low + (s_high - s_low) * numbers[0]),
        t=float(t_low + (t_high - t_low) * numbers[1]),
        half_width=float(half_width),
        half_height=float(half_height),
        tilt_deg=float(40.0 * (numbers[4] - 0.5)),
        density=float((0.27 + 0.38 * grade) * (0.75 + 0.5 * numbers[5]) * domain.density),
    )


def _diffuse(
    side: int,
    grade: float,
    numbers: np.ndarray[tuple[int], np.dtype[np.float64]],
    domain: Domain,
) -> Blob:
    return Blob(
        side=side,
        zone="diffuse",
        s=float(0.48 + 0.06 * numbers[0]),
        t=float(0.52 + 0.10 * (numbers[1] - 0.5)),
        half_width=float(0.135 + 0.045 * grade + 0.045 * numbers[2]),
        half_height=float(0.20 + 0.08 * grade + 0.08 * numbers[3]),
        tilt_deg=float(12.0 * (numbers[4] - 0.5)),
        density=float((0.18 + 0.34 * grade) * (0.75 + 0.5 * numbers[5]) * domain.density),
    )


def plan_distractors(rng: np.random.Generator, domain: Domain) -> Distractors:
    """Draw the findings that may be mistaken for an opacity, and the hardware."""
    chance = rng.random(8)
    sides = (rng.random(3) < 0.5).astype(int)
    place = rng.random(6)
    has_cardiomegaly = bool(chance[3] < domain.p_cardiomegaly)
    devices: list[str] = []
    hardware = [pick(rng, DEVICES, DEVICE_WEIGHTS) for _ in range(2)]
    if chance[5] < domain.p_device:
        devices = hardware[: 1 + int(chance[6] < 0.35)]
    return Distractors(
        effusion_side=int(sides[0]) if chance[0] < domain.p_effusion else None,
        effusion_size=float(place[0] ** 1.5),
        nodule_side=int(sides[1]) if chance[1] < domain.p_nodule else None,
        nodule_place=(float(0.25 + 0.55 * place[1]), float(0.15 + 0.65 * place[2])),
        nodule_radius=float(0.011 + 0.014 * place[3]),
        atelectasis_side=int(sides[2]) if chance[2] < domain.p_atelectasis else None,
        atelectasis_place=(float(0.35 + 0.25 * place[4]), float(0.80 + 0.12 * place[5])),
        heart_scale=float(1.20 + 0.12 * chance[7]) if has_cardiomegaly else 1.0,
        has_cardiomegaly=has_cardiomegaly,
        has_congestion=bool(chance[4] < domain.p_congestion),
        is_rib_dense=bool(rng.random() < domain.p_rib_dense),
        devices=tuple(dict.fromkeys(devices)),
    )
