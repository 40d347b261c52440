"""Training the localizer on film-report pairs, from a configuration or from parts of your own."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localize.network.config import LocalizerConfig, LocalizeTrainConfig
    from localize.network.fusion import RegionFusion
    from localize.network.localizer import Localizer, build_localizer
    from localize.training.from_folders import TrainingFolders, open_training_data
    from localize.training.objective import Objective, build_objective
    from localize.training.train import train_localizer

# Imported on first use: name -> module.
_MODULES = {
    "LocalizeTrainConfig": "localize.network.config",
    "Localizer": "localize.network.localizer",
    "LocalizerConfig": "localize.network.config",
    "Objective": "localize.training.objective",
    "RegionFusion": "localize.network.fusion",
    "TrainingFolders": "localize.training.from_folders",
    "build_localizer": "localize.network.localizer",
    "build_objective": "localize.training.objective",
    "open_training_data": "localize.training.from_folders",
    "train_localizer": "localize.training.train",
}
__all__ = [
    "LocalizeTrainConfig",
    "Localizer",
    "LocalizerConfig",
    "Objective",
    "RegionFusion",
    "TrainingFolders",
    "build_localizer",
    "build_objective",
    "open_training_data",
    "train_localizer",
]


def __getattr__(name: str) -> object:
    """The public names, imported on first use."""
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module `localize.training` has no attribute `{name}`")
