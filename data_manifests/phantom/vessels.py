"""Hila and the branching vessels of the lungs."""

from __future__ import annotations

import cv2
import numpy as np

from data_manifests.phantom.anatomy import hilum
from data_manifests.phantom.body import Body
from data_manifests.phantom.fields import blur, lattice_noise, smooth_step
from data_manifests.phantom.pose import SUBPIXEL_BITS, FloatField
from data_manifests.support.arrays import Bytes

TRUNKS = 8  # first-order branches per hilum
GENERATIONS = 5
STEPS = 5  # straight pieces per branch, each a little bent


def draw_vessels(body: Body, rng: np.random.Generator) -> FloatField:
    """Attenuation of vessels and hila inside the lungs, float32 (size, size)."""
    size = body.size
    scale = 2 if size < 200 else 1  # thin branches need a finer canvas on small films
    canvas = np.zeros((size * scale, size * scale), dtype=np.uint8)
    for side in (0, 1):
        _grow_tree(canvas, body, side, rng)
    if scale > 1:
        canvas = np.asarray(
            cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA), dtype=np.uint8
        )
    tree = blur(canvas.astype(np.float32), 0.0014)
    field = tree * np.float32(body.anatomy.vessel_density / 255.0)
    for side in (0, 1):
        x, y = hilum(body.anatomy, body.pose, side, body.breath)
        radius = ((body.x - x) / 0.034) ** 2 + ((body.y - y) / 0.062) ** 2
        field += np.float32(0.14) * np.exp(-radius)
    # Vessels too small to draw: a fine mottle, denser centrally.
    mottle = lattice_noise(rng, size, 64) * 0.6 + lattice_noise(rng, size, 110) * 0.4
    field += np.float32(0.020) * mottle * smooth_step(body.depth, 0.0, 0.6)
    lungs = (body.lungs[0] + body.lungs[1]) * (1.0 - 0.55 * body.heart)
    return np.asarray(field * lungs, dtype=np.float32)


def _grow_tree(canvas: Bytes, body: Body, side: int, rng: np.random.Generator) -> None:
    """Draw one lung's tree; all random numbers are drawn in one fixed order."""
    sign = (-1.0, 1.0)[side]
    x, y = hilum(body.anatomy, body.pose, side, body.breath)
    # Angles from straight up to straight down, away from the midline; more branches to the base.
    angles = np.linspace(-1.25, 1.35, TRUNKS) + rng.normal(0.0, 0.10, TRUNKS)
    tips = np.stack([np.full(TRUNKS, x), y + 0.045 * np.sin(angles)], axis=1)
    lengths = rng.uniform(0.05, 0.095, TRUNKS)
    width = 0.0092
    value = 225.0
    for _ in range(GENERATIONS):
        count = len(tips)
        bends = rng.normal(0.0, 0.13, (STEPS, count))
        paths = [tips]
        for step in range(STEPS):
            angles = angles + bends[step]
            move = np.stack([sign * np.cos(angles), np.sin(angles)], axis=1)
            tips = tips + move * (lengths / STEPS)[:, None]
            paths.append(tips)
        lines = np.stack(paths, axis=1)  # (count, STEPS + 1, 2)
        fixed = body.pose.to_fixed_point(lines.reshape(-1, 2), canvas.shape[0])
        wanted = width * canvas.shape[0]
        thickness = max(1, round(wanted))
        level = int(value * min(1.0, wanted / thickness))
        cv2.polylines(
            canvas,
            list(fixed.reshape(count, STEPS + 1, 2)),
            False,
            (level,),
            thickness,
            cv2.LINE_AA,
            SUBPIXEL_BITS,
        )
        spread = rng.uniform(0.22, 0.50, count)
        angles = np.concatenate([angles - spread, angles + spread * rng.uniform(0.5, 1.0, count)])
        lengths = np.concatenate([lengths, lengths]) * rng.uniform(0.6, 1.05, 2 * count)
        tips = np.concatenate([tips, tips])
        width *= 0.70
        value *= 0.82
