"""Opacities on the film: soft-edged, textured, confined to the lung; and their true boxes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from data_manifests.phantom.anatomy import dome_heights, wall_distance
from data_manifests.phantom.body import Body
from data_manifests.phantom.fields import blur, lattice_noise, smooth_step
from data_manifests.phantom.plan import Blob, OpacityPlan
from data_manifests.phantom.pose import SUBPIXEL_BITS, FloatField
from data_manifests.support.arrays import Floats

BOX_TAIL = 0.015  # share of a blob's attenuation left outside each side of its box
MAX_ADDED = 0.68  # attenuation of a lung full of fluid
HEART_SHARE = 0.30  # part of the lung's depth that the heart takes in front of an opacity


@dataclass(frozen=True)
class Region:
    """One separate opacity as a reader would box it: one or more touching blobs of one lung."""

    side: int
    zones: tuple[str, ...]  # aims of its blobs
    added: FloatField  # attenuation, float32 (size, size)
    box: tuple[float, float, float, float]  # x1, y1, x2, y2 in film pixels


@dataclass(frozen=True)
class Opacity:
    """All planted opacity of a film."""

    added: FloatField  # total attenuation added, float32 (size, size)
    envelope: FloatField  # involvement in [0, 1] before texture, for the share of lung
    regions: tuple[Region, ...]

    @property
    def boxes(self) -> Floats:
        """True boxes (N, 4) in film pixels."""
        return np.array([r.box for r in self.regions], dtype=np.float64).reshape(-1, 4)


def lung_point(body: Body, side: int, s: float, t: float) -> tuple[float, float]:
    """Body (x, y) of lung coordinates: s from the inner border to the wall, t apex to dome."""
    anatomy = body.anatomy
    dome_y = dome_heights(anatomy, body.breath)[side]
    y = anatomy.apex_y + t * (dome_y - anatomy.apex_y)
    wall = float(wall_distance(anatomy, np.array([y], np.float32), dome_y)[0])
    lateral = max(s - 0.5, 0.0) * 2.0
    y += t * anatomy.sulcus_depth * lateral**2.25 * 0.7  # the dome falls off towards the wall
    inner = 0.045
    sign = (-1.0, 1.0)[side]
    return sign * (inner + s * (wall - inner)) - 0.018 * body.pose.yaw, y


def render_opacity(body: Body, plan: OpacityPlan, rng: np.random.Generator) -> Opacity:
    """Paint the planned blobs; blobs of one lung whose boxes touch become one region."""
    size = body.size
    envelope = np.zeros((size, size), dtype=np.float32)
    parts: list[tuple[Blob, FloatField]] = []
    for blob in plan.blobs:
        shape = _blob_envelope(body, blob, plan.softness, rng)
        texture = _texture(body, blob, plan.texture, shape, rng)
        room = body.lungs[blob.side] * body.depth * (1.0 - HEART_SHARE * body.heart)
        # Filled air spaces cannot absorb more than the tissue that fills them.
        filled = np.tanh(texture * np.float32(blob.density / MAX_ADDED)) * np.float32(MAX_ADDED)
        added = np.asarray(filled * room, dtype=np.float32)
        np.maximum(envelope, shape * body.lungs[blob.side], out=envelope)
        if float(added.sum()) > 1e-6 * size * size:
            parts.append((blob, added))
    regions = _merge_touching([_region([blob], [added]) for blob, added in parts])
    total = np.zeros((size, size), dtype=np.float32)
    for region in regions:
        total += region.added
    return Opacity(added=total, envelope=envelope, regions=tuple(regions))


def tight_box(added: FloatField) -> tuple[float, float, float, float]:
    """The box that leaves `BOX_TAIL` of the mass outside on each of its four sides.

    By construction at least 1 - 4 `BOX_TAIL` of the added attenuation lies inside. Edges are
    interpolated within a pixel, so the box is continuous in the field.
    """
    x1, x2 = _tails(added.sum(axis=0, dtype=np.float64))
    y1, y2 = _tails(added.sum(axis=1, dtype=np.float64))
    return x1, y1, x2, y2


def _tails(mass: Floats) -> tuple[float, float]:
    """Positions (pixel edges) below and above which `BOX_TAIL` of the mass lies."""
    cumulative = np.concatenate([[0.0], np.cumsum(mass)])
    cumulative /= cumulative[-1]
    edges = np.arange(len(cumulative), dtype=np.float64)
    low = float(np.interp(BOX_TAIL, cumulative, edges))
    high = float(np.interp(1.0 - BOX_TAIL, cumulative, edges))
    return low, high


def _region(blobs: list[Blob], fields: list[FloatField]) -> Region:
    added = fields[0] if len(fields) == 1 else np.asarray(sum(fields), dtype=np.float32)
    return Region(
        side=blobs[0].side,
        zones=tuple(blob.zone for blob in blobs),
        added=added,
        box=tight_box(added),
    )


def _merge_touching(regions: list[Region]) -> list[Region]:
    """Join regions of one side until no two of their boxes overlap."""
    merged = list(regions)
    changed = True
    while changed:
        changed = False
        for i, first in enumerate(merged):
            for j in range(i + 1, len(merged)):
                second = merged[j]
                if first.side == second.side and _overlap(first.box, second.box):
                    added = first.added + second.added
                    merged[i] = Region(
                        first.side, first.zones + second.zones, added, tight_box(added)
                    )
                    del merged[j]
                    changed = True
                    break
            if changed:
                break
    return merged


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])


def _blob_envelope(body: Body, blob: Blob, softness: float, rng: np.random.Generator) -> FloatField:
    """The blob's outline in [0, 1]: a tilted ellipse with a ragged, soft border."""
    x, y = lung_point(body, blob.side, blob.s, blob.t)
    angle = np.deg2rad(blob.tilt_deg * (-1.0, 1.0)[blob.side])
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    dx, dy = body.x - np.float32(x), body.y - np.float32(y)
    across = (cos * dx + sin * dy) / np.float32(blob.half_width)
    along = (-sin * dx + cos * dy) / np.float32(blob.half_height)
    ragged = lattice_noise(rng, body.size, 12) * 0.16 + lattice_noise(rng, body.size, 26) * 0.07
    radius = np.sqrt(across * across + along * along) + ragged
    return smooth_step(radius, 1.12 + 0.25 * softness, 0.58 - 0.45 * softness)


def _texture(
    body: Body, blob: Blob, texture: str, shape: FloatField, rng: np.random.Generator
) -> FloatField:
    """The envelope filled with the look that the texture word promises."""
    size = body.size
    if texture == "hazy":
        return np.asarray(0.75 * shape, dtype=np.float32)
    if texture == "patchy":
        noise = lattice_noise(rng, size, 22)
        filled = shape * smooth_step(noise, -0.55, 0.75)
        return np.asarray(1.25 * filled, dtype=np.float32)
    if texture == "interstitial":
        net = lattice_noise(rng, size, 46)
        coarse = lattice_noise(rng, size, 30)
        lines = np.exp(-((net / 0.28) ** 2)) + 0.6 * np.exp(-((coarse / 0.20) ** 2))
        return np.asarray(shape * (0.16 + 0.95 * lines), dtype=np.float32)
    if texture == "streaky":
        strands = _strands(body, blob, rng)
        return np.asarray(shape * (0.12 + 0.95 * strands), dtype=np.float32)
    if texture == "nodular":
        spots = _spots(body, blob, rng)
        return np.asarray(shape * (0.14 + 1.05 * spots), dtype=np.float32)
    noise = lattice_noise(rng, size, 30)  # dense: nearly even
    return np.asarray(shape * (1.25 + 0.12 * noise).clip(0.6, 1.6), dtype=np.float32)


def _strands(body: Body, blob: Blob, rng: np.random.Generator) -> FloatField:
    """Straight thin bands, nearly parallel, in [0, 1]."""
    x, y = lung_point(body, blob.side, blob.s, blob.t)
    canvas = np.zeros((body.size, body.size), dtype=np.uint8)
    count = max(4, int(26 * blob.half_height / 0.15))
    sign = (-1.0, 1.0)[blob.side]
    lean = rng.uniform(-0.35, 0.55)
    places = rng.uniform(-0.9, 0.9, (count, 2))
    angles = lean + rng.normal(0.0, 0.16, count)
    lengths = blob.half_width * rng.uniform(0.7, 1.7, count)
    widths = rng.uniform(0.0035, 0.0075, count)
    for (px, py), angle, length, width in zip(places, angles, lengths, widths, strict=True):
        centre = np.array([x + px * blob.half_width, y + py * blob.half_height])
        half = 0.5 * length * np.array([sign * np.cos(angle), np.sin(angle)])
        ends = body.pose.to_fixed_point(np.stack([centre - half, centre + half]), body.size)
        thickness = max(1, round(float(width) * body.size))
        cv2.polylines(canvas, [ends], False, (255,), thickness, cv2.LINE_AA, SUBPIXEL_BITS)
    result: FloatField = blur(canvas.astype(np.float32), 0.0025) * np.float32(1.0 / 255.0)
    return result


def _spots(body: Body, blob: Blob, rng: np.random.Generator) -> FloatField:
    """Small round densities in [0, 1]."""
    x, y = lung_point(body, blob.side, blob.s, blob.t)
    canvas = np.zeros((body.size, body.size), dtype=np.uint8)
    count = max(7, int(2100 * blob.half_width * blob.half_height))
    places = rng.uniform(-1.0, 1.0, (count, 2)) * (blob.half_width, blob.half_height) + (x, y)
    radii = rng.uniform(0.0065, 0.0135, count)
    centres = body.pose.to_fixed_point(places, body.size)
    for centre, radius in zip(centres, radii, strict=True):
        fixed = int(float(radius) * body.size * (1 << SUBPIXEL_BITS))
        point = (int(centre[0]), int(centre[1]))
        cv2.circle(canvas, point, fixed, (255,), -1, cv2.LINE_AA, SUBPIXEL_BITS)
    result: FloatField = blur(canvas.astype(np.float32), 0.0042) * np.float32(1.0 / 255.0)
    return result


def smooth_ramp_share(values: FloatField, mask: FloatField, threshold: float) -> float:
    """Share of the mask's area where `values` exceed `threshold`."""
    area = float(mask.sum(dtype=np.float64))
    if area <= 0.0:
        return 0.0
    return float((mask * (values > threshold)).sum(dtype=np.float64)) / area
