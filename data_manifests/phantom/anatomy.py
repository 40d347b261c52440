"""The patient: lungs, heart, mediastinum, diaphragm and body outline as attenuation fields.

All lengths are fractions of the frame's width, all fields float32 (size, size). Attenuation is in
arbitrary units: 0 is free air, about 0.5 an aerated lung, about 1.5 the mediastinum.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from data_manifests.phantom.fields import blur, smooth_step
from data_manifests.phantom.pose import SUBPIXEL_BITS, FloatField, Pose

AIR_DEPTH = 0.80  # attenuation that a full depth of aerated lung removes


@dataclass(frozen=True)
class Anatomy:
    """One patient's build, drawn once per patient; breathing and posture vary film by film."""

    sex: str
    age_years: int
    half_width: float  # of the rib cage at its widest
    apex_y: float
    apex_x: float
    dome_y: float  # top of the right dome at full breath
    dome_gap: float  # how much lower the left dome is
    sulcus_depth: float  # dome top to costophrenic angle
    wall_power: float  # how quickly the cage widens below the apex
    heart_width: float  # cardiothoracic ratio
    heart_tilt_deg: float
    knob_radius: float
    fat: float  # thickness of soft tissue, 0 slim to 1 obese
    spine_curve: float
    rib_gap: float
    rib_width: float
    rib_density: float
    vessel_density: float
    stomach_air: float


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


def draw_anatomy(rng: np.random.Generator, *, fat_mean: float, heart_mean: float) -> Anatomy:
    """Draw a patient; `fat_mean` in [0, 1] and `heart_mean` (ratio) come from the domain."""

    def vary(mean: float, spread: float, low: float, high: float) -> float:
        return float(np.clip(rng.normal(mean, spread), low, high))

    is_female = bool(rng.random() < 0.46)
    return Anatomy(
        sex="F" if is_female else "M",
        age_years=int(np.clip(rng.normal(54, 18), 18, 94)),
        half_width=vary(0.350 if is_female else 0.368, 0.016, 0.31, 0.405),
        apex_y=vary(0.125, 0.015, 0.09, 0.16),
        apex_x=vary(0.155, 0.012, 0.13, 0.18),
        dome_y=vary(0.690, 0.030, 0.62, 0.76),
        dome_gap=vary(0.025, 0.010, 0.0, 0.05),
        sulcus_depth=vary(0.095, 0.018, 0.06, 0.14),
        wall_power=vary(2.9, 0.35, 2.1, 3.8),
        heart_width=vary(heart_mean, 0.030, 0.38, 0.60),
        heart_tilt_deg=vary(38.0, 7.0, 20.0, 55.0),
        knob_radius=vary(0.036, 0.006, 0.024, 0.052),
        fat=vary(fat_mean, 0.20, 0.0, 1.0),
        spine_curve=vary(0.0, 0.006, -0.015, 0.015),
        rib_gap=vary(0.0635, 0.003, 0.056, 0.071),
        rib_width=vary(0.0235, 0.002, 0.018, 0.029),
        rib_density=vary(0.135, 0.025, 0.08, 0.20),
        vessel_density=vary(0.17, 0.035, 0.09, 0.26),
        stomach_air=vary(0.35, 0.30, 0.0, 0.9),
    )


def place_body(anatomy: Anatomy, pose: Pose, breath: float, heart_scale: float, size: int) -> Body:
    """Lay out the soft tissue; `breath` in [0.7, 1.1] lowers the domes, 1 is a full breath."""
    x, y = pose.body_grid(size)
    lateral = np.abs(x)
    dome_tops = dome_heights(anatomy, breath)
    midline = spine_line(anatomy, pose, y)
    right, left = (_lung(anatomy, x, y, midline, side, dome_tops[side]) for side in (0, 1))
    depth = right.depth + left.depth
    heart = _heart_mask(anatomy, pose, x, y, min(dome_tops), heart_scale)
    outline, trunk = _trunk(anatomy, x, y)
    attenuation = trunk
    attenuation += 0.42 * smooth_step(y, 0.45, 0.85) * smooth_step(lateral, 0.50, 0.30)  # abdomen
    open_air = depth * (1.0 - 0.55 * heart)
    attenuation -= AIR_DEPTH * open_air
    attenuation += 0.26 * heart
    attenuation += _mediastinum(anatomy, pose, x, y, midline)
    attenuation -= _stomach(anatomy, x, y, dome_tops[1])
    if anatomy.sex == "F":
        attenuation += _breasts(anatomy, x, y)
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


def dome_heights(anatomy: Anatomy, breath: float) -> tuple[float, float]:
    """Body y of the tops of the right and the left dome."""
    right = anatomy.apex_y + (anatomy.dome_y - anatomy.apex_y) * breath
    return right, right + anatomy.dome_gap


def spine_line(anatomy: Anatomy, pose: Pose, y: FloatField) -> FloatField:
    """Body x of the spine's midline at each y."""
    curve = np.float32(anatomy.spine_curve) * np.sin(y * np.float32(6.0))
    result: FloatField = curve - np.float32(0.030 * pose.yaw)
    return result


def wall_distance(anatomy: Anatomy, y: FloatField, dome_y: float) -> FloatField:
    """Distance from the midline to the inner chest wall at each y."""
    bottom = dome_y + anatomy.sulcus_depth
    t = np.clip((y - anatomy.apex_y) / np.float32(0.80 * (bottom - anatomy.apex_y)), 0.0, 1.0)
    rise = (np.float32(1.0) - (np.float32(1.0) - t) ** anatomy.wall_power) ** np.float32(0.50)
    below = np.clip(y - (anatomy.apex_y + 0.80 * (bottom - anatomy.apex_y)), 0.0, 1.0)
    result: FloatField = (
        anatomy.apex_x + (anatomy.half_width - anatomy.apex_x) * rise - np.float32(0.9) * below**2
    )
    return result


def hilum(anatomy: Anatomy, pose: Pose, side: int, breath: float) -> tuple[float, float]:
    """Body (x, y) of the right (`side` 0) or left (1) hilum; the left lies a little higher."""
    y = anatomy.apex_y + (dome_heights(anatomy, breath)[0] - anatomy.apex_y) * (0.50, 0.455)[side]
    x = (-0.082, 0.086)[side] + 0.012 * pose.yaw
    return x, y


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


def _ellipse(
    x: FloatField, y: FloatField, centre: tuple[float, float], axes: tuple[float, float], deg: float
) -> FloatField:
    """Squared normalised radius: 1 on the border of the tilted ellipse."""
    cos, sin = np.float32(np.cos(np.deg2rad(deg))), np.float32(np.sin(np.deg2rad(deg)))
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    along = (cos * dx + sin * dy) / np.float32(axes[0])
    across = (-sin * dx + cos * dy) / np.float32(axes[1])
    return np.asarray(along * along + across * across, dtype=np.float32)


def _heart_mask(
    anatomy: Anatomy, pose: Pose, x: FloatField, y: FloatField, dome_y: float, scale: float
) -> FloatField:
    """The heart's silhouette: left ventricle with its apex to the image right, atrium, outflow."""
    width = 2.0 * anatomy.half_width * anatomy.heart_width * scale
    offset = 0.025 * pose.yaw
    left_edge, right_edge = 0.66 * width, 0.34 * width
    ventricle = _ellipse(
        x,
        y,
        (left_edge * 0.36 + offset, dome_y - 0.062),
        (left_edge * 0.74, left_edge * 0.47),
        anatomy.heart_tilt_deg,
    )
    atrium = _ellipse(
        x, y, (-right_edge * 0.30 + offset, dome_y - 0.085), (right_edge * 0.66, 0.120), 0.0
    )
    outflow = _ellipse(x, y, (0.014 + offset, dome_y - 0.230), (0.070, 0.175), -9.0)
    # Rounded union: the borders flow into each other instead of meeting in notches.
    union = np.exp(-2.5 * ventricle) + np.exp(-2.5 * atrium) + 0.8 * np.exp(-2.5 * outflow)
    inside = smooth_step(union, 0.062, 0.108)
    result: FloatField = inside * smooth_step(y, dome_y + 0.11, dome_y + 0.05)
    return result


def _trunk(anatomy: Anatomy, x: FloatField, y: FloatField) -> tuple[FloatField, FloatField]:
    """The outline mask and the soft tissue's attenuation: neck, shoulders, torso, arms."""
    torso = anatomy.half_width + 0.045 + 0.085 * anatomy.fat
    neck = 0.085 + 0.03 * anatomy.fat
    shoulder_y = anatomy.apex_y - 0.125
    rise = smooth_step(y, shoulder_y, shoulder_y + 0.14)
    armpit = smooth_step(y, 0.20, 0.34)
    flank = torso + np.float32(0.012) * np.cos((y - np.float32(0.38)) * np.float32(6.0))
    half = neck + (0.56 - neck) * np.sqrt(rise) - (0.56 - flank) * armpit
    lateral = np.abs(x)
    torso_mask = smooth_step(half - lateral, -0.006, 0.010)
    from_arm = np.abs(lateral + np.float32(0.05) * y - np.float32(0.585))
    arms = smooth_step(from_arm, 0.075 + 0.03 * anatomy.fat, 0.050 + 0.03 * anatomy.fat)
    arms *= smooth_step(y, 0.16, 0.26)
    outline = np.maximum(torso_mask, arms)
    inner = np.clip(np.float32(1.0) - (lateral / half.clip(0.02)) ** 2, 0.0, 1.0)
    thickness = np.sqrt(np.sqrt(inner))
    chest = 0.98 + 0.28 * anatomy.fat
    attenuation = chest * torso_mask * (0.30 + 0.70 * thickness) * (0.70 + 0.30 * rise)
    attenuation = np.maximum(attenuation, 0.62 * arms)
    return outline, attenuation.astype(np.float32)


def _mediastinum(
    anatomy: Anatomy, pose: Pose, x: FloatField, y: FloatField, midline: FloatField
) -> FloatField:
    """Great vessels, aortic knob and the air column of the trachea."""
    centre = x - np.float32(0.015 * pose.yaw)
    pedicle = smooth_step(np.abs(centre - 0.006), 0.080, 0.028) * smooth_step(y, 0.02, 0.16)
    pedicle *= smooth_step(y, 0.98, 0.70)
    knob_y = anatomy.apex_y + 0.175
    knob = _ellipse(
        centre, y, (0.034, knob_y), (anatomy.knob_radius * 1.15, anatomy.knob_radius * 1.3), 0.0
    )
    aorta = smooth_step(np.abs(x - midline - 0.030), 0.024, 0.016) * smooth_step(y, 0.26, 0.34)
    trachea = smooth_step(np.abs(centre + 0.004), 0.019, 0.009)
    trachea *= smooth_step(y, anatomy.apex_y + 0.225, anatomy.apex_y + 0.195)
    field = 0.22 * pedicle + 0.17 * smooth_step(knob, 1.25, 0.55)
    field += 0.07 * aorta - 0.20 * trachea
    field -= _main_bronchi(anatomy, pose, x.shape[0])
    return np.asarray(field, dtype=np.float32)


def _main_bronchi(anatomy: Anatomy, pose: Pose, size: int) -> FloatField:
    """The two air columns below the carina, the right one steeper."""
    canvas = np.zeros((size, size), dtype=np.uint8)
    front = 0.015 * pose.yaw
    carina = (front, anatomy.apex_y + 0.205)
    for tip_x, tip_y in ((-0.060, 0.285), (0.072, 0.265)):
        line = np.array([carina, (tip_x + front, anatomy.apex_y + tip_y)])
        cv2.polylines(
            canvas,
            [pose.to_fixed_point(line, size)],
            False,
            (255,),
            max(1, round(0.020 * size)),
            cv2.LINE_AA,
            SUBPIXEL_BITS,
        )
    return blur(canvas.astype(np.float32), 0.004) * np.float32(0.13 / 255.0)


def _stomach(anatomy: Anatomy, x: FloatField, y: FloatField, dome_y: float) -> FloatField:
    """The gastric bubble below the left dome: round on top, a level of fluid below."""
    centre_y = dome_y + 0.062
    bubble = _ellipse(x, y, (0.165, centre_y), (0.075, 0.042), 8.0)
    level = smooth_step(y, centre_y + 0.028, centre_y + 0.016)
    result: FloatField = 0.42 * anatomy.stomach_air * smooth_step(bubble, 1.2, 0.7) * level
    return result


def _breasts(anatomy: Anatomy, x: FloatField, y: FloatField) -> FloatField:
    """Soft rounded shadows over both lower lungs with a sharper lower fold."""
    lateral = np.abs(x)
    shape = _ellipse(
        lateral, y, (0.215 + 0.03 * anatomy.fat, 0.60), (0.150, 0.135 + 0.03 * anatomy.fat), 20.0
    )
    density = 0.05 + 0.10 * anatomy.fat
    fold = smooth_step(shape, 1.08, 0.88)
    return blur(np.asarray(density * fold * (1.25 - 0.5 * shape.clip(0, 1)), np.float32), 0.006)
