"""Smooth steps and band-limited noise on the pixel grid, the brushes of all phantom modules."""

from __future__ import annotations

import cv2
import numpy as np

from data_manifests.phantom.pose import FloatField


def smooth_step(values: FloatField, low: float, high: float) -> FloatField:
    """0 below `low`, 1 above `high`, a cubic ramp between; `low` > `high` makes it fall."""
    # In place: this is the innermost brush, and temporaries are most of its cost.
    ramp = np.subtract(values, np.float32(low), dtype=np.float32)
    ramp *= np.float32(1.0 / (high - low))
    np.maximum(ramp, np.float32(0.0), out=ramp)
    np.minimum(ramp, np.float32(1.0), out=ramp)
    cubic = ramp * np.float32(-2.0)
    cubic += np.float32(3.0)
    cubic *= ramp
    cubic *= ramp
    return cubic


def lattice_noise(
    rng: np.random.Generator, size: int, cells: int, *, cells_x: int | None = None
) -> FloatField:
    """Smooth noise of about unit variance, float32 (size, size), features of size/cells pixels.

    The lattice depends on the frame alone, so the same generator state paints the same pattern at
    every film size. `cells_x` gives another number of cells across (stretched grain).
    """
    lattice = rng.standard_normal((cells + 3, (cells_x or cells) + 3)).astype(np.float32)
    return stretch_lattice(lattice, size)


def stretch_lattice(lattice: FloatField, size: int) -> FloatField:
    """A coarse lattice, cubically interpolated to (size, size) in coordinates of the frame."""
    rows, columns = lattice.shape
    # One lattice cell is cut at each border, where the cubic kernel has no neighbours.
    x = (np.arange(size, dtype=np.float32) + 0.5) / size * (columns - 3) + 1.0
    y = (np.arange(size, dtype=np.float32) + 0.5) / size * (rows - 3) + 1.0
    across = _cubic_weights(x, columns)
    down = _cubic_weights(y, rows)
    return np.asarray(down @ lattice @ across.T, dtype=np.float32)


def _cubic_weights(positions: FloatField, count: int) -> FloatField:
    """Catmull-Rom interpolation as a dense matrix (len(positions), count)."""
    base = np.clip(np.floor(positions).astype(np.int64), 1, count - 3)
    t = positions - base
    weights = np.zeros((len(positions), count), dtype=np.float32)
    rows = np.arange(len(positions))
    weights[rows, base - 1] = ((-0.5 * t + 1.0) * t - 0.5) * t
    weights[rows, base] = (1.5 * t - 2.5) * t * t + 1.0
    weights[rows, base + 1] = ((-1.5 * t + 2.0) * t + 0.5) * t
    weights[rows, base + 2] = (0.5 * t - 0.5) * t * t
    return weights


def blur(values: FloatField, sigma_frame: float) -> FloatField:
    """Gaussian blur with sigma as a fraction of the frame; far below a pixel it does nothing.

    Wide blurs work on a reduced copy: their result is smooth anyway and the cost stays flat.
    """
    size = values.shape[0]
    sigma_px = sigma_frame * size
    if sigma_px < 0.2:
        return values
    if sigma_px > 8.0:
        reduced = max(16, int(size * 4.0 / sigma_px))
        small = cv2.resize(values, (reduced, reduced), interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(
            small, (0, 0), sigma_frame * reduced, borderType=cv2.BORDER_REPLICATE
        )
        return np.asarray(
            cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC), dtype=np.float32
        )
    return np.asarray(
        cv2.GaussianBlur(values, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE),
        dtype=np.float32,
    )
