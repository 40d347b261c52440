"""From attenuation to the stored film: scatter, blur, noise, window, marker, collimation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from data_manifests.phantom.domains import Domain
from data_manifests.phantom.fields import blur
from data_manifests.phantom.pose import FloatField
from data_manifests.support.arrays import Bytes

GreyLevels: TypeAlias = Bytes | NDArray[np.uint16]  # of a film of 8 or 16 bits
MARKERS = ("L", "R", "none")


@dataclass(frozen=True)
class Exposure:
    """How one film was taken; frame-relative, so it applies at every size."""

    window_centre: float
    contrast: float
    gamma: float
    noise: float
    blur: float  # sigma, fraction of the frame
    glare: float
    tilt: tuple[float, float]  # brightness slope across and down (heel effect)
    margins: tuple[float, float, float, float]  # collimated left, top, right, bottom
    margin_level: float
    marker: str
    marker_place: tuple[float, float]


def draw_exposure(rng: np.random.Generator, domain: Domain) -> Exposure:
    """Draw the acquisition of one film."""
    normal = rng.standard_normal(6)
    uniform = rng.random(12)
    is_collimated = uniform[0] < domain.p_collimated
    margins = tuple(
        float(0.07 * uniform[1 + k]) if is_collimated and uniform[5 + k] < 0.5 else 0.0
        for k in range(4)
    )
    marker = "L" if uniform[9] < 0.55 else "R" if uniform[9] < 0.85 else "none"
    return Exposure(
        window_centre=float(domain.window_centre + domain.window_centre_spread * normal[0]),
        contrast=float(max(1.3, domain.contrast + domain.contrast_spread * normal[1])),
        gamma=float(np.clip(domain.gamma + domain.gamma_spread * normal[2], 0.5, 1.7)),
        noise=float(domain.noise * np.exp(domain.noise_spread * normal[3])),
        blur=float(domain.blur * (0.7 + 0.6 * uniform[10])),
        glare=domain.glare,
        tilt=(float(0.035 * normal[4]), float(0.045 * normal[5])),
        margins=(margins[0], margins[1], margins[2], margins[3]),
        margin_level=0.02 if uniform[9] < 0.7 else 0.95,
        marker=marker,
        marker_place=(float(0.05 + 0.05 * uniform[11]), float(0.10 + 0.09 * uniform[10])),
    )


def expose(
    anatomy: FloatField, added: FloatField, exposure: Exposure, rng: np.random.Generator
) -> FloatField:
    """The film in [0, 1], dense tissue white, float32 (size, size).

    `anatomy` and `added` are attenuations. Scatter is taken from `anatomy` alone, so an opacity
    changes only the pixels that it covers (and its blurred border).
    """
    size = anatomy.shape[0]
    glare = np.float32(exposure.glare)
    attenuation = (1.0 - glare) * (anatomy + added) + glare * blur(anatomy, 0.10)
    attenuation = blur(np.asarray(attenuation, np.float32), exposure.blur)
    # Fewer quanta behind dense tissue: the noise of the logarithm grows as exp(attenuation / 2).
    grain = rng.standard_normal((size, size), dtype=np.float32)
    spread = np.float32(exposure.noise) * np.exp(0.5 * (attenuation - np.float32(0.5)))
    attenuation = attenuation + blur(grain, 0.0009) * spread
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    attenuation += (
        np.float32(exposure.tilt[0]) * axis[None, :] + np.float32(exposure.tilt[1]) * axis[:, None]
    )
    scaled = (attenuation - np.float32(exposure.window_centre)) * np.float32(exposure.contrast)
    film = (1.0 / (1.0 + np.exp(-scaled))) ** np.float32(exposure.gamma)
    film = np.asarray(film, dtype=np.float32)
    _stamp_marker(film, exposure)
    _collimate(film, exposure)
    return film.clip(0.0, 1.0)


def quantize(film: FloatField, bits: int) -> GreyLevels:
    """The stored pixels: 8 or 16 bits, rounded."""
    if bits == 16:
        return np.round(film * 65535.0).astype(np.uint16)
    return np.round(film * 255.0).astype(np.uint8)


def _stamp_marker(film: FloatField, exposure: Exposure) -> None:
    """The lead letter: L beside the patient's left shoulder (image right), R on the other side."""
    if exposure.marker == "none":
        return
    size = film.shape[0]
    across, y = exposure.marker_place
    x = 1.0 - across - 0.02 if exposure.marker == "L" else across
    canvas = np.zeros((size, size), dtype=np.uint8)
    cv2.putText(
        canvas,
        exposure.marker,
        (round(x * size), round(y * size)),
        cv2.FONT_HERSHEY_SIMPLEX,
        size / 640.0,
        (255,),
        max(1, round(size / 220)),
        cv2.LINE_AA,
    )
    film += (np.float32(0.98) - film) * (canvas.astype(np.float32) * np.float32(0.95 / 255.0))


def _collimate(film: FloatField, exposure: Exposure) -> None:
    """Blank the margins outside the collimator."""
    size = film.shape[0]
    left, top, right, bottom = (round(m * size) for m in exposure.margins)
    level = np.float32(exposure.margin_level)
    film[:, :left] = level
    film[:, size - right :] = level
    film[:top, :] = level
    film[size - bottom :, :] = level
