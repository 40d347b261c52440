"""How the body lies in the frame: the map between body coordinates and film pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from data_manifests.support.arrays import Floats, Floats32

FloatField: TypeAlias = Floats32

SUBPIXEL_BITS = 4  # fixed-point bits handed to OpenCV's drawing functions


@dataclass(frozen=True)
class Pose:
    """Placement of the body in the frame.

    Body coordinates are fractions of the frame's width: x grows towards the image right (the
    patient's left), 0 on the midline; y grows downwards, 0 at the frame's top for a centred body.
    `yaw` in [-1, 1] turns the patient about the long axis: front parts move by +yaw, back by -yaw.
    """

    rotation_deg: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    scale: float = 1.0
    yaw: float = 0.0

    def body_grid(self, size: int) -> tuple[FloatField, FloatField]:
        """Body x and y of every pixel centre, each float32 (size, size)."""
        centre = (np.arange(size, dtype=np.float32) + 0.5) / size
        dx = centre[None, :] - 0.5 - self.shift_x
        dy = centre[:, None] - 0.5 - self.shift_y
        cos, sin = self._cos_sin()
        x = (cos * dx + sin * dy) / self.scale
        y = (-sin * dx + cos * dy) / self.scale + 0.5
        return x.astype(np.float32), y.astype(np.float32)

    def to_frame(self, points: Floats) -> Floats:
        """Body points (N, 2) as fractions of the frame (N, 2)."""
        cos, sin = self._cos_sin()
        x, y = points[:, 0] * self.scale, (points[:, 1] - 0.5) * self.scale
        return np.stack(
            [cos * x - sin * y + 0.5 + self.shift_x, sin * x + cos * y + 0.5 + self.shift_y], axis=1
        )

    def to_fixed_point(self, points: Floats, size: int) -> NDArray[np.int32]:
        """Body points (N, 2) as OpenCV fixed-point pixel coordinates (N, 2)."""
        pixels = self.to_frame(points) * size - 0.5
        return np.round(pixels * (1 << SUBPIXEL_BITS)).astype(np.int32)

    def _cos_sin(self) -> tuple[float, float]:
        angle = np.deg2rad(self.rotation_deg)
        return float(np.cos(angle)), float(np.sin(angle))
