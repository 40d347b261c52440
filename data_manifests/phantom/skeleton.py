"""Bones over the soft tissue: ribs arching the right way, clavicles, scapulae, spine."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from data_manifests.phantom.anatomy import Anatomy, dome_heights, spine_line, wall_distance
from data_manifests.phantom.body import Body
from data_manifests.phantom.fields import blur, smooth_step
from data_manifests.phantom.pose import SUBPIXEL_BITS, FloatField, Pose
from data_manifests.support.arrays import Floats

POSTERIOR_RIBS = 10
ANTERIOR_RIBS = 7
RIB_POINTS = 22


def draw_skeleton(body: Body, rng: np.random.Generator) -> FloatField:
    """The bones' attenuation, float32 (size, size); `rng` only jitters the ribs a little."""
    anatomy, pose = body.anatomy, body.pose
    ribs = rib_curves(anatomy, pose, body.breath, rng)
    width = anatomy.rib_width
    back = _tube_layer(ribs.posterior, pose, body.size, width)
    front = _tube_layer(ribs.anterior, pose, body.size, width * 1.12)
    midline = np.abs(body.x)
    front = front * smooth_step(midline, 0.11, 0.21)  # cartilage towards the sternum is invisible
    # Below the domes bones are veiled by the abdomen: the film is burnt out there.
    lower = 1.0 - 0.55 * smooth_step(body.y, 0.70, 0.92)
    field = anatomy.rib_density * lower * (back + 0.80 * front)
    field += _clavicles(body)
    field += _scapulae(body)
    field += _spine(body)
    return np.asarray(field * body.outline, dtype=np.float32)


@dataclass(frozen=True)
class Ribs:
    """Centre lines in body coordinates, each float64 (ribs, points, 2), spine to sternum."""

    posterior: Floats
    anterior: Floats


def rib_curves(anatomy: Anatomy, pose: Pose, breath: float, rng: np.random.Generator) -> Ribs:
    """The ribs of both sides.

    Posterior parts leave the spine almost level and bend down towards the wall; anterior parts run
    from the wall downwards to the midline, which is how a frontal film shows them.
    """
    dome = dome_heights(anatomy, breath)[0]
    jitter = rng.normal(0.0, 1.0, (2, POSTERIOR_RIBS, 3)) * (0.0025, 0.004, 0.006)
    rib = np.arange(POSTERIOR_RIBS)[None, :].repeat(2, axis=0)
    side = np.array([[-1.0], [1.0]]).repeat(POSTERIOR_RIBS, axis=1)
    share = rib / (POSTERIOR_RIBS - 1)
    root_y = anatomy.apex_y - 0.012 + anatomy.rib_gap * rib * (1.0 + 0.06 * share) + jitter[..., 0]
    end_y = root_y + 0.028 + 0.105 * share + jitter[..., 1]
    reach = side * (wall_distance(anatomy, end_y.astype(np.float32), dome) + 0.006)
    root = np.stack([side * 0.030 - 0.030 * pose.yaw, root_y], axis=-1)
    shoulder = np.stack([reach * 0.72, root_y - 0.030 - 0.012 * share], axis=-1)
    end = np.stack([reach, end_y], axis=-1)
    fall = 0.075 + 0.085 * share + jitter[..., 2]
    bend = np.stack([reach * 0.86, end_y + 0.80 * fall], axis=-1)
    tip = np.stack([side * (0.10 + 0.03 * share) + 0.03 * pose.yaw, end_y + fall], axis=-1)
    front = slice(1, ANTERIOR_RIBS + 1)  # the first hides behind the clavicle, the last are short
    return Ribs(
        posterior=_bezier(root, shoulder, end),
        anterior=_bezier(end[:, front], bend[:, front], tip[:, front]),
    )


def _bezier(start: Floats, control: Floats, end: Floats) -> Floats:
    """Quadratic curves (sides * ribs, points, 2) from points (sides, ribs, 2)."""
    t = np.linspace(0.0, 1.0, RIB_POINTS)[:, None]
    first, middle, last = (p.reshape(-1, 1, 2) for p in (start, control, end))
    curves: Floats = (1 - t) ** 2 * first + 2 * t * (1 - t) * middle + t**2 * last
    return curves


def band_outlines(curves: Floats, half_widths: Floats) -> Floats:
    """Outlines (K, 2 N, 2) of bands along curves (K, N, 2) with half widths (N,)."""
    tangent = np.gradient(curves, axis=1)
    tangent /= np.linalg.norm(tangent, axis=2, keepdims=True)
    normal = np.stack([-tangent[..., 1], tangent[..., 0]], axis=2) * half_widths[:, None]
    return np.concatenate([curves + normal, (curves - normal)[:, ::-1]], axis=1)


def _tube_layer(curves: Floats, pose: Pose, size: int, width: float) -> FloatField:
    """Hollow tubes (bright rims, paler core) along the curves (K, N, 2), peak about 1."""
    filled = np.zeros((size, size), dtype=np.uint8)
    rims = np.zeros((size, size), dtype=np.uint8)
    count, points, _ = curves.shape
    half = np.full(points, 0.5 * width)
    half[:3] *= (0.75, 0.85, 0.95)
    bands = band_outlines(curves, half)
    outlines = pose.to_fixed_point(bands.reshape(-1, 2), size).reshape(count, 2 * points, 2)
    for outline in outlines:  # one by one: together, overlaps would cancel out
        cv2.fillPoly(filled, [outline], (255,), cv2.LINE_AA, SUBPIXEL_BITS)
    edges = list(outlines.reshape(2 * count, points, 2))
    rim_px = max(1, round(0.0035 * size))
    cv2.polylines(rims, edges, False, (255,), rim_px, cv2.LINE_AA, SUBPIXEL_BITS)
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
        outline = body.pose.to_fixed_point(
            band_outlines(np.stack([x, y], axis=1)[None], half)[0], body.size
        )
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
    field = 0.09 * bodies + 0.025 * rims
    field += 0.10 * np.exp(-pedicle) + 0.08 * np.exp(-process)
    return np.asarray(field, dtype=np.float32)
