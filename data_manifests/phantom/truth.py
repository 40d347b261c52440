"""What the film truly shows, measured on the planted attenuation: 22 keywords, shares, severity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_manifests.laterality import SIDES_ACROSS_FILM
from data_manifests.phantom.anatomy import hilum
from data_manifests.phantom.body import Body
from data_manifests.phantom.lesions import Opacity, Region, smooth_ramp_share
from data_manifests.phantom.plan import LEFT

KEYWORDS = (
    "left", "right", "bilateral", "upper", "middle", "lower", "basal", "apical", "lingular",
    "perihilar", "retrocardiac", "diffuse", "focal", "multifocal", "patchy", "interstitial",
    "streaky", "nodular", "hazy", "mild", "moderate", "severe",
)  # fmt: skip
THIRDS = ("upper", "middle", "lower")
THIRD_SHARE = 0.32  # a third counts when it holds this share of a region's attenuation
WIDE_THIRD_SHARE = 0.18  # the same for a region that runs through the whole lung
WIDE_SPREAD = 0.16  # standard deviation of height from which a region is such
INVOLVED = 0.35  # envelope level from which lung tissue counts as involved
FULL_DENSITY = 0.30  # attenuation of a well consolidated lung
MODERATE_BURDEN = 0.075
SEVERE_BURDEN = 0.180


@dataclass(frozen=True)
class RegionTruth:
    """Where one region lies, in the words that are true of it."""

    side: str
    thirds: tuple[str, ...]
    places: tuple[str, ...]  # of apical, basal, perihilar, lingular, retrocardiac


@dataclass(frozen=True)
class Truth:
    """The truth of one film. `severity` follows the 0-8 geographic score: 0-4 per lung."""

    regions: tuple[RegionTruth, ...]
    keywords: frozenset[str]
    extent: str
    texture: str
    share_right: float  # of the right lung's area that is involved
    share_left: float
    burden: float  # area times density over both lungs, 1 = both fully consolidated

    @property
    def has_opacity(self) -> bool:
        """Whether anything was planted that is visible."""
        return bool(self.regions)

    @property
    def severity(self) -> int:
        """Sum over the lungs of `lung_score`."""
        return lung_score(self.share_right) + lung_score(self.share_left)


def lung_score(share: float) -> int:
    """Geographic extent of one lung: 0 none, 1 below 25 %, 2 to 50 %, 3 to 75 %, 4 above."""
    if share <= 0.0:
        return 0
    return 1 + int(share >= 0.25) + int(share >= 0.50) + int(share >= 0.75)


def severity_word(burden: float) -> str:
    """mild, moderate or severe."""
    if burden < MODERATE_BURDEN:
        return "mild"
    return "moderate" if burden < SEVERE_BURDEN else "severe"


def measure_truth(body: Body, opacity: Opacity, extent: str, texture: str) -> Truth:
    """Measure the planted opacity; nothing is taken from the plan but extent and texture."""
    if not opacity.regions:
        return Truth((), frozenset(), "", "", 0.0, 0.0, 0.0)
    regions = tuple(_describe(body, region) for region in opacity.regions)
    shares = [smooth_ramp_share(opacity.envelope, lung, INVOLVED) for lung in body.lungs]
    # A film may cut a lung off; only what is in the frame counts on both sides of the ratio.
    room = sum(float(lung.sum(dtype=np.float64)) for lung in body.lungs)
    burden = float(opacity.added.sum(dtype=np.float64)) / (FULL_DENSITY * max(room, 1.0))
    if extent != "diffuse":
        extent = "focal" if len(regions) == 1 else "multifocal"
    words = {word for region in regions for word in (*region.thirds, *region.places)}
    sides = {region.side for region in regions}
    words |= sides
    if len(sides) == 2:
        words.add("bilateral")
    words.add(extent)
    if texture != "dense":
        words.add(texture)
    words.add(severity_word(burden))
    # A lung that holds a region is involved even where thin texture stays below the level.
    share_right, share_left = (
        max(share, 0.01) if side in sides else share
        for share, side in zip(shares, SIDES_ACROSS_FILM, strict=True)
    )
    return Truth(regions, frozenset(words), extent, texture, share_right, share_left, burden)


def _describe(body: Body, region: Region) -> RegionTruth:
    """Thirds and named places of one region from the distribution of its attenuation."""
    weight = region.added / np.float32(region.added.sum(dtype=np.float64))
    height = body.height[region.side]
    t = float((weight * height).sum(dtype=np.float64))
    x = float((weight * body.x).sum(dtype=np.float64))
    y = float((weight * body.y).sum(dtype=np.float64))
    third = np.clip(height * 3.0, 0.0, 2.99).astype(np.int64)
    shares = np.bincount(third.ravel(), weights=weight.ravel(), minlength=3)
    main = int(np.clip(t * 3.0, 0.0, 2.99))
    spread_t = float(np.sqrt((weight * (height - t) ** 2).sum(dtype=np.float64)))
    is_small = spread_t < WIDE_SPREAD  # a region through the whole lung has no single place
    enough = THIRD_SHARE if is_small else WIDE_THIRD_SHARE
    thirds = tuple(name for k, name in enumerate(THIRDS) if k == main or float(shares[k]) >= enough)
    places: list[str] = []
    if is_small and t < 0.20:
        places.append("apical")
    if is_small and t > 0.80:
        places.append("basal")
    hilum_x, hilum_y = hilum(body.anatomy, body.pose, region.side, body.breath)
    if is_small and np.hypot(x - hilum_x, (y - hilum_y) * 0.8) < 0.060:
        places.append("perihilar")
    behind = float((weight * body.heart).sum(dtype=np.float64))
    if region.side == LEFT and is_small:
        if behind > 0.55 and t > 0.60:
            places.append("retrocardiac")
        elif 0.58 < t < 0.76 and behind < 0.45 and _beside_heart(body, y, x):
            places.append("lingular")
    return RegionTruth(SIDES_ACROSS_FILM[region.side], thirds, tuple(places))


def _beside_heart(body: Body, y: float, x: float) -> bool:
    """Whether the point lies within 0.10 of the heart's left border at its own height."""
    rows = np.abs(body.y - np.float32(y)) < np.float32(0.012)
    inside = rows & (body.heart > 0.5)
    if not bool(inside.any()):
        return False
    border = float(body.x[inside].max())
    return -0.02 < x - border < 0.10
