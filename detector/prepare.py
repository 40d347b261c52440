"""`prepare_film`: a film's grey levels and boxes in the model's frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from data_manifests.support.arrays import Floats, Floats32

# Films come windowed, 12-bit in 16-bit files or with burnt-in markers: the range between these
# percentiles fills [0, 1]. A stride keeps the cost under a millisecond for large films.
LOW_PERCENTILE, HIGH_PERCENTILE = 0.5, 99.5
PERCENTILE_SAMPLES = 65_536


@dataclass(frozen=True)
class PreparedFilm:
    """A film in the model's frame.

    `pixels` is float32 (h, w) in [0, 1], longer side `image_size`; `scale_x` and `scale_y` turn
    film pixels into pixels of this frame.
    """

    pixels: Floats32
    scale_x: float
    scale_y: float

    def to_model(self, xyxy: Floats) -> Floats:
        """(N, 4) boxes from film pixels to the model's frame."""
        scaled: Floats = xyxy * self._scales()
        return scaled

    def _scales(self) -> Floats:
        return np.array([self.scale_x, self.scale_y, self.scale_x, self.scale_y])


def prepare_film(pixels: Floats32, image_size: int) -> PreparedFilm:
    """Stretch the grey levels and resize so that the longer side is `image_size`."""
    height, width = pixels.shape
    stride = max(1, int(np.sqrt(pixels.size / PERCENTILE_SAMPLES)))
    low, high = np.percentile(pixels[::stride, ::stride], [LOW_PERCENTILE, HIGH_PERCENTILE]).astype(
        np.float32
    )
    factor = image_size / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    resized = cv2.resize(
        pixels, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    )
    # A blank film has no range to stretch: it stays as dark as it was.
    if high > low:
        resized = (resized - low) / (high - low)
    return PreparedFilm(
        np.clip(resized, 0, 1).astype(np.float32), size[0] / width, size[1] / height
    )
