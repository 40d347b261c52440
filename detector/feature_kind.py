"""`FeatureKind`: where the features of a region come from."""

from __future__ import annotations

from enum import StrEnum


class FeatureKind(StrEnum):
    """The last convolution of the classification tower at the anchor's cell, or the feature pyramid
    pooled over the box (RoIAlign)."""

    TOWER = "tower"
    FPN_ROI_ALIGN = "fpn_roi_align"
