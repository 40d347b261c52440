"""Heart, trunk, mediastinum, stomach and breasts as attenuation fields, float32 (size, size)."""

from __future__ import annotations

import cv2
import numpy as np

from data_manifests.phantom.anatomy import Anatomy
from data_manifests.phantom.fields import blur, smooth_step
from data_manifests.phantom.pose import SUBPIXEL_BITS, FloatField, Pose


def _ellipse(
    x: FloatField, y: FloatField, centre: tuple[float, float], axes: tuple[float, float], deg: float
) -> FloatField:
    """Squared normalised radius: 1 on the border of the tilted ellipse."""
    cos, sin = np.float32(np.cos(np.deg2rad(deg))), np.float32(np.sin(np.deg2rad(deg)))
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    along = (cos * dx + sin * dy) / np.float32(axes[0])
    across = (-sin * dx + cos * dy) / np.float32(axes[1])
    return np.asarray(along * along + across * across, dtype=np.float32)


def heart_mask(
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


def trunk(anatomy: Anatomy, x: FloatField, y: FloatField) -> tuple[FloatField, FloatField]:
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


def mediastinum(
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


def stomach(anatomy: Anatomy, x: FloatField, y: FloatField, dome_y: float) -> FloatField:
    """The gastric bubble below the left dome: round on top, a level of fluid below."""
    centre_y = dome_y + 0.062
    bubble = _ellipse(x, y, (0.165, centre_y), (0.075, 0.042), 8.0)
    level = smooth_step(y, centre_y + 0.028, centre_y + 0.016)
    result: FloatField = 0.42 * anatomy.stomach_air * smooth_step(bubble, 1.2, 0.7) * level
    return result


def breasts(anatomy: Anatomy, x: FloatField, y: FloatField) -> FloatField:
    """Soft rounded shadows over both lower lungs with a sharper lower fold."""
    lateral = np.abs(x)
    shape = _ellipse(
        lateral, y, (0.215 + 0.03 * anatomy.fat, 0.60), (0.150, 0.135 + 0.03 * anatomy.fat), 20.0
    )
    density = 0.05 + 0.10 * anatomy.fat
    fold = smooth_step(shape, 1.08, 0.88)
    return blur(np.asarray(density * fold * (1.25 - 0.5 * shape.clip(0, 1)), np.float32), 0.006)
