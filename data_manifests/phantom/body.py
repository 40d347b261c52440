"""`place_body`: a patient in the frame of a film: lungs, soft tissue and the grids of the body.

All fields are float32 (size, size). Attenuation is in arbitrary units: 0 is free air, about 0.5 an
aerated lung, about 1.5 the mediastinum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_manifests.phantom.anatomy import Anatomy, dome_heights, spine_line, wall_distance
from data_manifests.phantom.fields import smooth_step
from data_manifests.phantom.pose import FloatField, Pose
from data_manifests.phantom.soft_tissue import breasts, heart_mask, mediastinum, stomach, trunk

AIR_DEPTH = 0.80  # attenuation that a full depth of aerated lung removes


@dataclass(frozen=True)
class Body:
    """A patient placed in the frame: grids, masks and the attenuation without bones or lesions."""

    anatomy: Anatomy
    pose: Pose
    breath: float
    x: FloatField
    y: FloatField
    lungs: tuple[FloatField, FloatField]  # soft masks in [0, 1], right and left, heart not cut out
    depth: FloatField  # air depth in [0, 1] before the heart takes its part
    height: tuple[FloatField, FloatField]  # 0 at the apex, 1 at the dome, of either lung
    heart: FloatField  # soft mask of the silhouette in [0, 1]
    outline: FloatField  # soft mask of the patient in [0, 1]
    attenuation: FloatField

    @property
    def size(self) -> int:
        """Pixels along a side of the square film."""
        return int(self.x.shape[0])


def place_body(anatomy: Anatomy, pose: Pose, breath: float, heart_scale: float, size: int) -> Body:
    """Lay out the soft tissue; `breath` in [0.7, 1.1] lowers the domes, 1 is a full breath."""
    x, y = pose.body_grid(size)
    lateral = np.abs(x)
    dome_tops = dome_heights(anatomy, breath)
    midline = spine_line(anatomy, pose, y)
    right, left = (_lung(anatomy, x, y, midline, side, dome_tops[side]) for side in (0, 1))
    depth = right.depth + left.depth
    heart = heart_mask(anatomy, pose, x, y, min(dome_tops), heart_scale)
    outline, attenuation = trunk(anatomy, x, y)
    attenuation += 0.42 * smooth_step(y, 0.45, 0.85) * smooth_step(lateral, 0.50, 0.30)  # abdomen
    open_air = depth * (1.0 - 0.55 * heart)
    attenuation -= AIR_DEPTH * open_air
    attenuation += 0.26 * heart
    attenuation += mediastinum(anatomy, pose, x, y, midline)
    attenuation -= stomach(anatomy, x, y, dome_tops[1])
    if anatomy.sex == "F":
        attenuation += breasts(anatomy, x, y)
    return Body(
        anatomy=anatomy,
        pose=pose,
        breath=breath,
        x=x,
        y=y,
        lungs=(right.mask, left.mask),
        depth=depth,
        height=(right.height, left.height),
        heart=heart,
        outline=outline,
        attenuation=attenuation,
    )


@dataclass(frozen=True)
class _Lung:
    """One lung over the whole film; see the fields of `Body`."""

    mask: FloatField
    depth: FloatField
    height: FloatField


def _lung(
    anatomy: Anatomy, x: FloatField, y: FloatField, midline: FloatField, side: int, dome_y: float
) -> _Lung:
    """The right (`side` 0) or left (1) lung, computed only in the columns that it can reach."""
    size = x.shape[0]
    sign = np.float32((-1.0, 1.0)[side])
    reach = np.flatnonzero((x * sign).max(axis=0) > 0.0)
    columns = slice(int(reach[0]), int(reach[-1]) + 1) if len(reach) else slice(0, 0)
    x, y, midline = x[:, columns], y[:, columns], midline[:, columns]
    out = sign * (x - midline * np.float32(0.6))  # distance from the midline
    wall = wall_distance(anatomy, y, dome_y)
    dome = _dome_line(anatomy, out, wall, dome_y)
    to_wall, to_inner, above = wall - out, out - _inner_border(anatomy, y), dome - y
    edge = smooth_step(np.minimum(to_wall, to_inner), -0.004, 0.010)
    mask = edge * smooth_step(above, -0.003, 0.006) * (y > anatomy.apex_y - 0.03)
    nearest = np.clip(np.minimum(to_wall * 1.35, to_inner) * np.float32(1.0 / 0.15), 0.0, 1.0)
    profile = np.sqrt(np.float32(1.0) - (np.float32(1.0) - nearest) ** 2)
    # The lung thins towards the apex and over the slope of the diaphragm.
    thinning = smooth_step(y, anatomy.apex_y - 0.04, anatomy.apex_y + 0.20) * 0.35 + 0.65
    slope = smooth_step(above, -0.01, 0.16) * 0.22 + 0.78
    fields = np.zeros((3, size, size), dtype=np.float32)
    fields[0][:, columns] = mask
    fields[1][:, columns] = mask * profile * thinning * slope
    fields[2][:, columns] = (y - anatomy.apex_y) / (dome - anatomy.apex_y).clip(0.1)
    return _Lung(mask=fields[0], depth=fields[1], height=fields[2])


def _inner_border(anatomy: Anatomy, y: FloatField) -> FloatField:
    """Distance from the midline to the mediastinal border of the lung at each y."""
    t = np.clip((y - anatomy.apex_y) / np.float32(0.12), 0.0, 1.0)
    fall = np.float32(1.0) - np.sqrt(np.float32(1.0) - (np.float32(1.0) - t) ** 2)
    result: FloatField = np.float32(0.040) + (anatomy.apex_x - np.float32(0.040)) * fall
    return result


def _dome_line(anatomy: Anatomy, out: FloatField, wall: FloatField, dome_y: float) -> FloatField:
    """Body y of the diaphragm at each distance from the midline."""
    across = out / np.float32(anatomy.half_width)
    from_top = across - np.float32(0.47)
    lateral = np.clip(from_top / np.float32(0.53), 0.0, 1.2)
    medial = np.clip(-from_top / np.float32(0.47), 0.0, 1.2)
    result: FloatField = (
        np.float32(dome_y)
        + np.float32(anatomy.sulcus_depth) * lateral * lateral * np.sqrt(np.sqrt(lateral))
        + np.float32(0.045) * medial**2
    )
    return result
