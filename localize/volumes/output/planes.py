"""`draw_planes`: axial, coronal and sagittal views of an anomaly, side by side, as a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_manifests.support.arrays import Bytes

HEIGHT = 240  # px of each view
GAP = 6
COLOUR = (255, 64, 32)
MAX_OPACITY = 0.55
# Of the grey steps, -1000 to 1000 HU: -1000 to 400 HU shows lung and soft tissue at once.
BRIGHTEST = 178.0


def draw_planes(grey: Bytes, steps: Bytes) -> Image.Image:
    """Three planes through the brightest place of a map, with the map in red.

    Both arrays are (X, Y, Z) along the patient's axes L, P, S; the patient's right is on the left
    of the axial and coronal views, the front on the left of the sagittal one.
    """
    x, y, z = _peak(steps)
    views = []
    for cut in (
        (slice(None), slice(None), z),
        (slice(None), y, slice(None)),
        (x, slice(None), slice(None)),
    ):
        background, overlay = grey[cut].T, steps[cut].T
        if cut[2] == slice(None):  # rows go down, z goes up
            background, overlay = background[::-1], overlay[::-1]
        views.append(_coloured(background, overlay))
    width = sum(view.width for view in views) + GAP * (len(views) - 1)
    picture = Image.new("RGB", (width, HEIGHT))
    left = 0
    for view in views:
        picture.paste(view, (left, 0))
        left += view.width + GAP
    return picture


def _peak(steps: Bytes) -> tuple[int, int, int]:
    """The middle of the voxels within a tenth of the largest value that is nearest to one of them;
    the middle of an empty map."""
    if not steps.any():
        return steps.shape[0] // 2, steps.shape[1] // 2, steps.shape[2] // 2
    voxels = np.argwhere(steps >= 0.9 * steps.max())
    nearest = np.abs(voxels - np.median(voxels, axis=0)).sum(axis=1).argmin()
    x, y, z = (int(number) for number in voxels[nearest])
    return x, y, z


def _coloured(background: NDArray[np.uint8], overlay: NDArray[np.uint8]) -> Image.Image:
    grey = np.clip(background / BRIGHTEST, 0, 1)[..., None] * 255
    opacity = (overlay / 255.0 * MAX_OPACITY)[..., None]
    mixed = grey * (1 - opacity) + np.array(COLOUR) * opacity
    image = Image.fromarray(mixed.round().astype(np.uint8))
    width = max(1, round(image.width * HEIGHT / image.height))
    return image.resize((width, HEIGHT), Image.Resampling.BICUBIC)
