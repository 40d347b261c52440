"""Film to regions of interest: RetinaNet training, proposals with features, the ROI store.

The names below are imported when they are first used, so that the package itself costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_manifests.support.lazy_names import lazy_names

if TYPE_CHECKING:
    from detector.config import DetectorConfig, DetectorTrainConfig
    from detector.detector import Detector, load_detector
    from detector.proposals import ProposalOptions, propose_rois
    from detector.propose import propose_store
    from detector.roi_store import RoiStore
    from detector.train import train_detector

__all__ = (
    "Detector",
    "DetectorConfig",
    "DetectorTrainConfig",
    "ProposalOptions",
    "RoiStore",
    "load_detector",
    "propose_rois",
    "propose_store",
    "train_detector",
)
__getattr__ = lazy_names(
    __name__,
    {
        "config": ("DetectorConfig", "DetectorTrainConfig"),
        "detector": ("Detector", "load_detector"),
        "proposals": ("ProposalOptions", "propose_rois"),
        "propose": ("propose_store",),
        "roi_store": ("RoiStore",),
        "train": ("train_detector",),
    },
)
