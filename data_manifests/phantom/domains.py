"""Two hospitals and a continuous way between them: what differs is a table of numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TypeAlias

from data_manifests.support.errors import ConfigError

Weights: TypeAlias = tuple[float, ...]

ZONES = ("apical", "upper", "middle", "perihilar", "lingular", "lower", "basal", "retrocardiac")
TEXTURES = ("dense", "patchy", "interstitial", "streaky", "nodular", "hazy")
EXTENTS = ("focal", "multifocal", "diffuse")


class DomainName(StrEnum):
    """The two simulated hospitals."""

    A = "A"
    B = "B"


DOMAIN_NAMES = tuple(DomainName)


@dataclass(frozen=True)
class Domain:
    """Every number that may differ between hospitals. Equal `Domain`s draw alike.

    Means and spreads are of normal distributions, `p_*` probabilities; weights need no sum of 1.
    """

    # Acquisition
    window_centre: float = 0.76  # attenuation shown as mid grey
    window_centre_spread: float = 0.06
    contrast: float = 3.4
    contrast_spread: float = 0.35
    gamma: float = 1.0
    gamma_spread: float = 0.08
    noise: float = 0.012  # of full scale in the lung
    noise_spread: float = 0.35  # of its logarithm
    blur: float = 0.0012  # of the frame
    glare: float = 0.10  # share of scattered light
    p_collimated: float = 0.10
    # Patients
    fat: float = 0.30
    heart: float = 0.455
    breath: float = 0.99
    rotation_deg: float = 1.5
    yaw: float = 0.22
    scale: float = 1.02
    p_rotated: float = 0.04
    p_clipped: float = 0.04
    p_rib_dense: float = 0.05
    # Findings that are not the opacity
    p_device: float = 0.12
    p_effusion: float = 0.07
    p_nodule: float = 0.06
    p_atelectasis: float = 0.07
    p_cardiomegaly: float = 0.08
    p_congestion: float = 0.05
    # Opacities
    density: float = 1.0
    extent: float = 1.0  # of their diameters
    edge: float = 0.0  # added softness of their borders
    sides: Weights = (0.32, 0.27, 0.41)  # right, left, both
    extents: Weights = (0.46, 0.32, 0.22)
    zones: Weights = (0.07, 0.11, 0.15, 0.11, 0.09, 0.22, 0.15, 0.10)
    textures: Weights = (0.34, 0.18, 0.10, 0.12, 0.10, 0.16)


HOSPITAL_A = Domain()

# The other end at shift 1: bedside films of heavier patients, softer detector, more hardware and
# more findings that resemble an opacity; fainter opacities in other places.
HOSPITAL_B = Domain(
    window_centre=0.90,
    window_centre_spread=0.12,
    contrast=2.5,
    contrast_spread=0.45,
    gamma=0.88,
    gamma_spread=0.14,
    noise=0.026,
    noise_spread=0.45,
    blur=0.0034,
    glare=0.26,
    p_collimated=0.30,
    fat=0.62,
    heart=0.495,
    breath=0.91,
    rotation_deg=3.2,
    yaw=0.42,
    scale=0.97,
    p_rotated=0.14,
    p_clipped=0.12,
    p_rib_dense=0.12,
    p_device=0.50,
    p_effusion=0.24,
    p_nodule=0.14,
    p_atelectasis=0.26,
    p_cardiomegaly=0.22,
    p_congestion=0.18,
    density=0.70,
    extent=1.05,
    edge=0.30,
    sides=(0.25, 0.30, 0.45),
    extents=(0.40, 0.35, 0.25),
    zones=(0.12, 0.19, 0.15, 0.14, 0.09, 0.13, 0.09, 0.09),
    textures=(0.14, 0.20, 0.16, 0.10, 0.10, 0.30),
)


def domain_at(name: str, shift: float) -> Domain:
    """The parameters of hospital `name` ("A" or "B") when the two differ by `shift` in [0, 1].

    A never moves. B is A at shift 0 and `HOSPITAL_B` at shift 1, straight lines between.

    Raises:
        ConfigError: another name, or a shift outside [0, 1].
    """
    if name not in DOMAIN_NAMES:
        raise ConfigError(f"phantom domain: expected A or B, got {name!r}")
    if not 0.0 <= shift <= 1.0:
        raise ConfigError(f"phantom shift: expected a number from 0 to 1, got {shift!r}")
    if name == "A" or shift == 0.0:
        return HOSPITAL_A
    mixed: dict[str, float | Weights] = {}
    for field in fields(Domain):
        start, end = getattr(HOSPITAL_A, field.name), getattr(HOSPITAL_B, field.name)
        if isinstance(start, tuple):
            mixed[field.name] = tuple(
                _between(a, b, shift) for a, b in zip(start, end, strict=True)
            )
        else:
            mixed[field.name] = _between(start, end, shift)
    return Domain(**mixed)  # type: ignore[arg-type]  # the types follow the fields


def _between(start: float, end: float, shift: float) -> float:
    return (1.0 - shift) * start + shift * end
