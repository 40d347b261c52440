"""`Anatomy`: one patient's build, and the lines that follow from it.

All lengths are fractions of the frame's width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_manifests.phantom.pose import FloatField, Pose


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
