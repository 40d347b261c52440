"""Changes of a masked film in training: drawn from (seed, step, position), then applied.

There is no mirror: the masks name the patient's sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from data_manifests.films.other_images import DRAWN
from data_manifests.support.arrays import Bytes, Floats32
from detector.lungs.config import LungTrainConfig
from detector.lungs.masked_films import UNKNOWN, square

TURNS = (1, 2, 3)  # quarters
TURNED_SHARE = 0.6  # of the pictures without lungs; the others are drawn
LEANING_SHARE = 0.2  # of the films; the others stand nearly upright


@dataclass(frozen=True)
class LungChange:
    """One drawn change.

    `angle` in degrees, `zoom`, `stretch` (wider and lower) and shifts (shares of the side) move the
    film, `border` is the grey level beyond it; `gamma`, `contrast`, `gain`, `blur` (px) and `noise`
    change grey levels. `white_lung` is the map to paint white from `white_from` (share of the
    side, from above) on, with the opacity `white`; None for neither.
    """

    angle: float
    zoom: float
    stretch: float
    shift_x: float
    shift_y: float
    border: float
    gamma: float
    contrast: float
    gain: float
    blur: float
    noise: float
    white_lung: int | None
    white_from: float
    white: float


def draw_change(rng: np.random.Generator, training: LungTrainConfig) -> LungChange:
    """The change of one film."""
    reach = 25.0 if rng.random() < LEANING_SHARE else 7.0
    whitens = rng.random() < training.white_out
    return LungChange(
        angle=float(rng.uniform(-reach, reach)),
        zoom=float(np.exp(rng.uniform(np.log(0.7), np.log(1.35)))),
        stretch=float(np.exp(rng.uniform(-0.15, 0.15))),
        shift_x=float(rng.uniform(-0.12, 0.12)),
        shift_y=float(rng.uniform(-0.12, 0.12)),
        border=float(rng.choice([0.0, 0.0, 1.0, rng.random()])),
        gamma=float(np.exp(rng.uniform(np.log(0.5), np.log(2.0)))),
        contrast=float(rng.uniform(0.6, 1.5)),
        gain=float(np.exp(rng.uniform(np.log(0.25), 0.0))),
        blur=float(max(0.0, rng.uniform(-1.0, 1.2))),
        noise=float(max(0.0, rng.uniform(-0.05, 0.05))),
        white_lung=int(rng.integers(2)) if whitens else None,
        white_from=float(max(0.0, rng.uniform(-0.5, 0.7))),
        white=float(rng.uniform(0.6, 1.0)),
    )


def changed_film(
    pixels: Bytes, masks: Bytes, change: LungChange, size: int, rng: np.random.Generator
) -> tuple[Floats32, Bytes]:
    """The changed film (size, size) in [0, 1] and its masks (3, size, size).

    Args:
        pixels: uint8 (S, S).
        masks: uint8 (3, S, S) of 0, 1 and UNKNOWN. Beyond the film there is no part, but a part
            of which nothing is known stays unknown there, too.
        change: from `draw_change`.
        size: side of the result, px.
        rng: of the noise.
    """
    levels = pixels.astype(np.float32) / np.float32(255)
    if change.white_lung is not None:
        levels = whitened(levels, masks[change.white_lung], change)
    matrix = _matrix(change, len(pixels), size)
    frame = (size, size)
    film = cv2.warpAffine(
        levels, matrix, frame, flags=cv2.INTER_AREA, borderValue=(change.border,)
    ).clip(0, 1)
    moved = [
        cv2.warpAffine(
            mask,
            matrix,
            frame,
            flags=cv2.INTER_NEAREST,
            borderValue=(UNKNOWN if mask.min() == UNKNOWN else 0,),
        )
        for mask in masks
    ]
    if change.blur:
        film = cv2.GaussianBlur(film, (0, 0), change.blur)
    film = (film**change.gamma - 0.5) * change.contrast + 0.5
    film = film.clip(0, 1) * change.gain + change.noise * rng.standard_normal(frame)
    return film.clip(0, 1).astype(np.float32), np.array(moved)


def whitened(levels: Floats32, mask: Bytes, change: LungChange) -> Floats32:
    """A film whose lung is as white as the soft tissue, with a soft border."""
    lung = (mask == 1).astype(np.float32)
    lung[: int(change.white_from * len(lung))] = 0
    soft = cv2.GaussianBlur(lung, (0, 0), len(lung) / 40) * np.float32(change.white)
    tissue = np.float32(np.quantile(levels, 0.8))
    whitened: Floats32 = levels * (1 - soft) + tissue * soft
    return whitened


def picture_without_lungs(film: Floats32, rng: np.random.Generator) -> Floats32:
    """A film turned by a quarter or a half, or a picture that is no film, as large as `film`."""
    if rng.random() < TURNED_SHARE:
        return np.ascontiguousarray(np.rot90(film, int(rng.choice(TURNS))))
    kind = str(rng.choice(list(DRAWN)))
    return square(DRAWN[kind](rng), len(film))


def _matrix(change: LungChange, side: int, size: int) -> Floats32:
    """Of cv2.warpAffine, from a square of `side` to one of `size`."""
    turn = np.deg2rad(change.angle)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    scale = change.zoom * size / side * np.diag([change.stretch, 1 / change.stretch])
    linear = rotation @ scale
    centre = np.full(2, (side - 1) / 2)
    target = np.full(2, (size - 1) / 2) + size * np.array([change.shift_x, change.shift_y])
    return np.column_stack([linear, target - linear @ centre]).astype(np.float32)
