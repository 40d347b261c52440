"""Bones over the soft tissue: ribs arching the right way, clavicles, scapulae, spine."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from data_manifests.phantom.anatomy import Anatomy, Body, dome_heights, spine_line, wall_distance
from data_manifests.phantom.fields import blur, smooth_step
from data_manifests.phantom.pose import SUBPIXEL_BITS, FloatField, Pose

POSTERIOR_RIBS = 10
ANTERIOR_RIBS = 7


def draw_skeleton(body: Body, rng: np.random.Generator) -> FloatField:
    """The bones' attenuation, float32 (size, size); `rng` only jitters the ribs a little."""
    anatomy, pose = body.anatomy, body.pose
    posterior, anterior = rib_curves(anatomy, pose, body.breath, rng)
    width = anatomy.rib_width
    back = _tube_layer(posterior, pose, body.size, width)
    front = _tube_layer(anterior, pose, body.size, width * 1.12)
    midline = np.abs(body.x)
    front = front * smooth_step(midline, 0.11, 0.21)  # cartilage towards the sternum is invisible
    # Below the domes bones are veiled by the abdomen: the film is burnt out there.
    lower = 1.0 - 0.55 * smooth_step(body.y, 0.70, 0.92)
    field = anatomy.rib_density * lower * (back + 0.80 * front)
    field += _clavicles(body)
    field += _scapulae(body)
    field += _spine(body)
    return np.asarray(field * body.outline, dtype=np.float32)


def rib_curves(
    anatomy: Anatomy, pose: Pose, breath: float, rng: np.random.Generator
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """Centre lines (N, 2) in body coordinates of the posterior and the anterior parts.

    Posterior parts leave the spine almost level and bend down towards the wall; anterior parts run
    from the wall downwards to the midline, which is how a frontal film shows them.
    """
    posterior: list[NDArray[np.float64]] = []
    anterior: list[NDArray[np.float64]] = []
    dome = dome_heights(anatomy, breath)[0]
    for side in (-1.0, 1.0):
        for rib in range(POSTERIOR_RIBS):
            share = rib / (POSTERIOR_RIBS - 1)
            jitter = rng.normal(0.0, 0.0025)
            root_y = anatomy.apex_y - 0.012 + anatomy.rib_gap * rib * (1.0 + 0.06 * share) + jitter
            root_x = side * 0.030 - 0.030 * pose.yaw
            drop = 0.028 + 0.105 * share + rng.normal(0.0, 0.004)
            end_y = root_y + drop
            reach = _wall(anatomy, end_y, dome) + 0.006
            bow = 0.030 + 0.012 * share
            root, end = np.array([root_x, root_y]), np.array([side * reach, end_y])
            shoulder = np.array([side * reach * 0.72, root_y - bow])
            posterior.append(_bezier(root, shoulder, end))
            if 0 < rib <= ANTERIOR_RIBS:
                fall = 0.075 + 0.085 * share + rng.normal(0.0, 0.006)
                tip = np.array([side * (0.10 + 0.03 * share) + 0.03 * pose.yaw, end_y + fall])
                bend = np.array([side * reach * 0.86, end_y + 0.80 * fall])
                anterior.append(_bezier(end, bend, tip))
    return posterior, anterior


def _wall(anatomy: Anatomy, y: float, dome_y: float) -> float:
    return float(wall_distance(anatomy, np.array([y], dtype=np.float32), dome_y)[0])


def _bezier(
    start: NDArray[np.float64], control: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    t = np.linspace(0.0, 1.0, 22)[:, None]
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end


def band_polygon(
    curve: NDArray[np.float64], half_widths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The outline (2N, 2) of a band along `curve` (N, 2) with the given half widths (N,)."""
    tangent = np.gradient(curve, axis=0)
    tangent /= np.hypot(tangent[:, 0], tangent[:, 1])[:, None]
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) * half_widths[:, None]
    return np.concatenate([curve + normal, (curve - normal)[::-1]])


def _tube_layer(
    curves: list[NDArray[np.float64]], pose: Pose, size: int, width: float
) -> FloatField:
    """Hollow tubes (bright rims, paler core) along the curves, peak about 1."""
    filled = np.zeros((size, size), dtype=np.uint8)
    rims = np.zeros((size, size), dtype=np.uint8)
    rim_px = max(1, round(0.0035 * size))
    for curve in curves:
        half = np.full(len(curve), 0.5 * width)
        half[:3] *= (0.75, 0.85, 0.95)
        outline = pose.to_fixed_point(band_polygon(curve, half), size)
        cv2.fillPoly(filled, [outline], (255,), cv2.LINE_AA, SUBPIXEL_BITS)
        for edge in (outline[: len(curve)], outline[len(curve) :]):
            cv2.polylines(rims, [edge], False, (255,), rim_px, cv2.LINE_AA, SUBPIXEL_BITS)
    core = blur(filled.astype(np.float32), 0.0022)
    rim = blur(rims.astype(np.float32), 0.0020)
    result: FloatField = (0.62 * core + 0.40 * rim) * np.float32(1.0 / 255.0)
    return result


def _clavicles(body: Body) -> FloatField:
    """Two S-shaped bars from the sternum up to the shoulders; yaw moves their inner ends."""
    canvas = np.zeros((body.size, body.size), dtype=np.uint8)
    base = body.anatomy.apex_y + 0.055
    for side in (-1.0, 1.0):
        inner_x = side * 0.034 + 0.035 * body.pose.yaw
        t = np.linspace(0.0, 1.0, 24)
        x = inner_x + side * t * 0.36
        y = base - 0.085 * t + 0.020 * np.sin(2.0 * np.pi * t) * (1.0 - 0.3 * t)
        half = 0.5 * (0.030 - 0.012 * np.sin(np.pi * t))
        outline = body.pose.to_fixed_point(band_polygon(np.stack([x, y], axis=1), half), body.size)
        cv2.fillPoly(canvas, [outline], (150,), cv2.LINE_AA, SUBPIXEL_BITS)
        rim = max(1, round(0.004 * body.size))
        cv2.polylines(canvas, [outline], True, (235,), rim, cv2.LINE_AA, SUBPIXEL_BITS)
    result: FloatField = blur(canvas.astype(np.float32), 0.0025) * np.float32(0.24 / 255.0)
    return result


def _scapulae(body: Body) -> FloatField:
    """Faint blades at the outer upper lungs and the round heads of the upper arms."""
    canvas = np.zeros((body.size, body.size), dtype=np.uint8)
    reach = body.anatomy.half_width
    top = body.anatomy.apex_y
    for side in (-1.0, 1.0):
        blade = np.array(
            [
                (reach + 0.075, top + 0.005),
                (reach + 0.02, top - 0.01),
                (reach - 0.045, top + 0.055),
                (reach - 0.030, top + 0.18),
                (reach + 0.015, top + 0.31),
                (reach + 0.035, top + 0.20),
            ]
        )
        blade[:, 0] *= side
        outline = body.pose.to_fixed_point(blade, body.size)
        cv2.fillPoly(canvas, [outline], (70,), cv2.LINE_AA, SUBPIXEL_BITS)
        rim = max(1, round(0.005 * body.size))
        cv2.polylines(canvas, [outline], True, (150,), rim, cv2.LINE_AA, SUBPIXEL_BITS)
        centre = body.pose.to_fixed_point(
            np.array([[side * (reach + 0.125), top + 0.02]]), body.size
        )
        radius = int(0.048 * body.pose.scale * body.size * (1 << SUBPIXEL_BITS))
        cv2.circle(
            canvas, tuple(map(int, centre[0])), radius, (200,), -1, cv2.LINE_AA, SUBPIXEL_BITS
        )
    result: FloatField = blur(canvas.astype(np.float32), 0.005) * np.float32(0.20 / 255.0)
    return result


def _spine(body: Body) -> FloatField:
    """Vertebral bodies with discs between them, pedicles and spinous processes."""
    anatomy = body.anatomy
    line = spine_line(anatomy, body.pose, body.y)
    aside = np.abs(body.x - line)
    phase = (body.y - np.float32(anatomy.apex_y)) / np.float32(anatomy.rib_gap)
    beat = np.cos(2.0 * np.pi * phase)
    bodies = smooth_step(aside, 0.043, 0.025) * (0.80 + 0.20 * smooth_step(beat, -0.9, -0.4))
    rims = smooth_step(np.abs(aside - 0.034), 0.006, 0.002)
    pedicle = ((aside - 0.020) / 0.0085) ** 2 + (beat - 1.0) ** 2 * 1.6
    process = (aside / 0.007) ** 2 + (beat - 0.2) ** 2 * 0.8
    field = 0.09 * bodies + 0.045 * rims
    field += 0.10 * np.exp(-pedicle) + 0.08 * np.exp(-process)
    return np.asarray(field, dtype=np.float32)
