"""Lung fields of a film: a small segmentation network, and sides, zones and shares from it.

The names below are imported when they are first used, so that the package itself costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_manifests.support.lazy_names import lazy_names

if TYPE_CHECKING:
    from detector.lungs.lung_fields import LungFields
    from detector.lungs.lung_shares import (
        cardiothoracic_ratio,
        inside_shares,
        lung_cover,
        zone_cover,
        zone_map,
    )
    from detector.lungs.packaged import load_segmenter

__all__ = (
    "LungFields",
    "cardiothoracic_ratio",
    "inside_shares",
    "load_segmenter",
    "lung_cover",
    "zone_cover",
    "zone_map",
)
__getattr__ = lazy_names(
    __name__,
    {
        "lung_fields": ("LungFields",),
        "lung_shares": (
            "cardiothoracic_ratio",
            "inside_shares",
            "lung_cover",
            "zone_cover",
            "zone_map",
        ),
        "packaged": ("load_segmenter",),
    },
)
