"""Findings that are not the opacity: effusion, nodule, atelectasis band, and hardware."""

from __future__ import annotations

import cv2
import numpy as np

from data_manifests.phantom.anatomy import dome_heights
from data_manifests.phantom.body import AIR_DEPTH, Body
from data_manifests.phantom.fields import blur, smooth_step
from data_manifests.phantom.lesions import lung_point
from data_manifests.phantom.plan import Distractors
from data_manifests.phantom.pose import SUBPIXEL_BITS, FloatField
from data_manifests.support.arrays import Bytes, Floats


def draw_distractors(body: Body, plan: Distractors, rng: np.random.Generator) -> FloatField:
    """Attenuation of all planned distractors, float32 (size, size)."""
    field = np.zeros((body.size, body.size), dtype=np.float32)
    if plan.effusion_side is not None:
        field += _effusion(body, plan.effusion_side, plan.effusion_size)
    if plan.nodule_side is not None:
        x, y = lung_point(body, plan.nodule_side, *plan.nodule_place)
        radius = np.hypot(body.x - np.float32(x), body.y - np.float32(y)).astype(np.float32)
        radius *= np.float32(1.0 / plan.nodule_radius)
        field += 0.26 * smooth_step(radius, 1.18, 0.70)
    if plan.atelectasis_side is not None:
        field += _band(body, plan.atelectasis_side, plan.atelectasis_place, rng)
    for device in plan.devices:
        field += _device(body, device, rng)
    return field


def _effusion(body: Body, side: int, amount: float) -> FloatField:
    """Fluid at the base: level rising towards the wall, the angle blunted."""
    dome = dome_heights(body.anatomy, body.breath)[side]
    out = np.abs(body.x) / np.float32(body.anatomy.half_width)
    top = dome + 0.045 - 0.16 * amount
    rise = np.float32(0.075 + 0.05 * amount) * (out - np.float32(0.45)).clip(-0.2, 0.6) * out
    below = np.asarray(body.y - np.float32(top) + rise, dtype=np.float32)
    fluid = smooth_step(below, -0.012, 0.030) * body.lungs[side]
    room = body.depth * (1.0 - 0.7 * body.heart)
    result: FloatField = np.float32(0.88 * AIR_DEPTH) * fluid * room
    return result


def _band(
    body: Body, side: int, place: tuple[float, float], rng: np.random.Generator
) -> FloatField:
    """One or two straight plates near the base, nearly horizontal."""
    canvas = np.zeros((body.size, body.size), dtype=np.uint8)
    x, y = lung_point(body, side, *place)
    for _ in range(1 + int(rng.random() < 0.4)):
        half = rng.uniform(0.045, 0.085)
        tilt = rng.normal(0.0, 0.18)
        arc = np.linspace(-1.0, 1.0, 9)
        line = np.stack([x + half * arc, y + half * (tilt * arc + 0.08 * arc**2)], axis=1)
        _stroke(canvas, body, line, rng.uniform(0.007, 0.013), 255)
        y -= rng.uniform(0.022, 0.04)
    soft = blur(canvas.astype(np.float32), 0.003)
    result: FloatField = soft * np.float32(0.27 / 255.0) * body.lungs[side]
    return result


def _device(body: Body, device: str, rng: np.random.Generator) -> FloatField:
    canvas = np.zeros((body.size, body.size), dtype=np.uint8)
    draw = {
        "pacemaker": _pacemaker,
        "central line": _central_line,
        "endotracheal tube": _endotracheal_tube,
        "electrodes": _electrodes,
        "sternotomy wires": _sternotomy_wires,
    }[device]
    strength = draw(canvas, body, rng)
    result: FloatField = blur(canvas.astype(np.float32), 0.001) * np.float32(strength / 255.0)
    return result


def _stroke(canvas: Bytes, body: Body, line: Floats, width: float, value: int) -> None:
    thickness = max(1, round(width * body.size))
    level = int(value * min(1.0, width * body.size / thickness))
    fixed = body.pose.to_fixed_point(line, body.size)
    cv2.polylines(canvas, [fixed], False, (level,), thickness, cv2.LINE_AA, SUBPIXEL_BITS)


def _curve(points: list[tuple[float, float]], count: int = 28) -> Floats:
    """A smooth curve (count, 2) through control points: quadratic pieces between midpoints."""
    knots = np.array(points)
    t = np.linspace(0.0, len(knots) - 1.0, count)
    grid = np.arange(len(knots))
    coarse = np.stack([np.interp(t, grid, knots[:, k]) for k in (0, 1)], axis=1)
    smooth = coarse.copy()
    for _ in range(6):
        smooth[1:-1] = 0.25 * smooth[:-2] + 0.5 * smooth[1:-1] + 0.25 * smooth[2:]
    return smooth


def _pacemaker(canvas: Bytes, body: Body, rng: np.random.Generator) -> float:
    """A generator below the left clavicle and one or two leads into the heart."""
    top = body.anatomy.apex_y
    x, y = 0.27 + rng.normal(0.0, 0.015), top + 0.085 + rng.normal(0.0, 0.01)
    angle = np.linspace(0.0, 2.0 * np.pi, 30)
    case = np.stack(
        [
            x + 0.048 * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.6,
            y + 0.038 * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** 0.6,
        ],
        axis=1,
    )
    cv2.fillPoly(
        canvas, [body.pose.to_fixed_point(case, body.size)], (255,), cv2.LINE_AA, SUBPIXEL_BITS
    )
    dome = min(dome_heights(body.anatomy, body.breath))
    _stroke(
        canvas,
        body,
        _curve([(x - 0.03, y), (0.10, top + 0.03), (-0.03, top + 0.15), (-0.045, dome - 0.14),
                (0.0, dome - 0.03), (0.085, dome - 0.01)]),
        0.005,
        190,
    )  # fmt: skip
    if rng.random() < 0.6:
        _stroke(
            canvas,
            body,
            _curve([(x - 0.03, y + 0.01), (0.09, top + 0.045), (-0.04, top + 0.17),
                    (-0.055, dome - 0.12), (-0.03, dome - 0.16)]),
            0.005,
            190,
        )  # fmt: skip
    return 1.1


def _central_line(canvas: Bytes, body: Body, rng: np.random.Generator) -> float:
    """A catheter from the neck into the superior vena cava."""
    top = body.anatomy.apex_y
    side = -1.0 if rng.random() < 0.75 else 1.0
    neck = (side * (0.10 + 0.02 * rng.random()), top - 0.14)
    tip = (-0.042, top + 0.24 + 0.05 * rng.random())
    _stroke(
        canvas,
        body,
        _curve([neck, (side * 0.065, top + 0.02), (-0.035, top + 0.10), tip]),
        0.006,
        255,
    )
    return 0.42


def _endotracheal_tube(canvas: Bytes, body: Body, rng: np.random.Generator) -> float:
    """A tube in the trachea above the carina, with a feeding tube beside it."""
    top = body.anatomy.apex_y
    tip = top + 0.12 + 0.05 * rng.random()
    for x in (-0.012, 0.004):
        _stroke(canvas, body, np.array([[x, top - 0.16], [x, tip]]), 0.003, 255)
    dome = dome_heights(body.anatomy, body.breath)[1]
    end = [(0.012, top - 0.16), (0.015, top + 0.3), (0.03, dome + 0.0), (0.10, dome + 0.09)]
    _stroke(canvas, body, _curve(end), 0.006, 170)
    return 0.5


def _electrodes(canvas: Bytes, body: Body, rng: np.random.Generator) -> float:
    """Round electrodes on the skin with their wires leaving the film."""
    top = body.anatomy.apex_y
    spots = [(-0.24, top + 0.06), (0.25, top + 0.07), (0.27, top + 0.42), (-0.22, top + 0.45)]
    keep = rng.random(4) < 0.75
    for place, is_kept in zip(spots, keep, strict=True):
        x, y = place[0] + rng.normal(0.0, 0.025), place[1] + rng.normal(0.0, 0.03)
        exit_x = (1.0 if x > 0 else -1.0) * rng.uniform(0.35, 0.62)
        bend = rng.normal(0.0, 0.08)
        if not is_kept:
            continue
        centre = body.pose.to_fixed_point(np.array([[x, y]]), body.size)[0]
        radius = int(0.014 * body.size * (1 << SUBPIXEL_BITS))
        point = (int(centre[0]), int(centre[1]))
        cv2.circle(canvas, point, radius, (255,), -1, cv2.LINE_AA, SUBPIXEL_BITS)
        _stroke(
            canvas,
            body,
            _curve([(x, y), (0.6 * x + 0.4 * exit_x, y + bend), (exit_x, 1.05)]),
            0.004,
            150,
        )
    return 0.45


def _sternotomy_wires(canvas: Bytes, body: Body, rng: np.random.Generator) -> float:
    """Six loops of wire down the sternum."""
    angle = np.linspace(0.0, 2.0 * np.pi, 16)
    for ring in range(6):
        y = body.anatomy.apex_y + 0.12 + 0.075 * ring + rng.normal(0.0, 0.005)
        x = 0.025 * body.pose.yaw + rng.normal(0.0, 0.004)
        loop = np.stack([x + 0.018 * np.cos(angle), y + 0.012 * np.sin(angle)], axis=1)
        _stroke(canvas, body, loop, 0.004, 255)
    return 0.8
