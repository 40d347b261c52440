"""`MaskedFilms`: films with masks of lungs and heart, at the size of the training."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from data_manifests.support.arrays import Bools, Bytes, Floats32
from data_manifests.support.errors import DataError
from detector.lungs.network import MAPS

SIDE = 192  # px; larger than the network's frame, so that cut-outs keep their detail
UNKNOWN = 255  # a pixel of which a source does not say whether it belongs to the part


@dataclass(frozen=True)
class MaskedFilms:
    """I films as squares and the masks of their parts.

    `pixels` is uint8 (I, S, S); `masks` is uint8 (I, 3, S, S): right lung, left lung, heart, each
    0, 1 or UNKNOWN. `groups` names the source of each film.

    Raises:
        DataError: no film, or arrays of other shapes.
    """

    image_ids: tuple[str, ...]
    groups: tuple[str, ...]
    pixels: Bytes
    masks: Bytes

    def __post_init__(self) -> None:
        count = len(self.image_ids)
        shapes = (self.pixels.shape, self.masks.shape)
        wanted = ((count, SIDE, SIDE), (count, MAPS, SIDE, SIDE))
        if not count or shapes != wanted or len(self.groups) != count:
            raise DataError(f"masked films: expected arrays of {wanted}, got {shapes}")

    def sha256(self) -> str:
        """Checksum of the films and masks."""
        digest = hashlib.sha256("|".join(self.image_ids).encode())
        for array in (self.pixels, self.masks):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def square(pixels: Floats32, side: int) -> Floats32:
    """A film squeezed into a square of this side."""
    shrinks = min(pixels.shape) >= side
    flags = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(pixels, (side, side), interpolation=flags).astype(np.float32)


def square_mask(mask: Bools, known: Bools) -> Bytes:
    """A mask at SIDE, UNKNOWN where `known` is false."""
    size = (SIDE, SIDE)
    share = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    is_known = cv2.resize(known.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return np.where(is_known > 0, share >= 0.5, UNKNOWN).astype(np.uint8)


def masked_films(
    image_ids: Sequence[str],
    groups: Sequence[str],
    pixels: Sequence[Floats32],
    masks: Sequence[Bytes],
) -> MaskedFilms:
    """Stack films (H, W) in [0, 1] and their `square_mask`s (3, SIDE, SIDE)."""
    squares = [np.round(square(film, SIDE).clip(0, 1) * 255).astype(np.uint8) for film in pixels]
    return MaskedFilms(tuple(image_ids), tuple(groups), np.array(squares), np.array(masks))
