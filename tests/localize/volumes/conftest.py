"""A small phantom set and a network trained on it for two epochs."""

from __future__ import annotations

import pytest
import torch

from data_manifests.phantom_volumes.generate import PhantomVolumeOptions, build_phantom_volumes
from data_manifests.volumes.volume_set import read_volume_set
from localize.volumes.network.config import (
    VolumeNetworkConfig,
    VolumeSettings,
    VolumeTrainConfig,
)
from localize.volumes.training.train import train_grounder


def tiny_settings(epochs=2, **network):
    return VolumeSettings(
        network=VolumeNetworkConfig(
            **{"spacing_mm": 10, "width": 2, "dim": 8, "text_heads": 2, "map_stride": 2, **network}
        ),
        training=VolumeTrainConfig(
            epochs=epochs, patch=(40, 32, 24), text_steps=5, precision="float32", checkpoint_every=1
        ),
    )


@pytest.fixture(scope="session")
def phantom_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes") / "set"
    build_phantom_volumes(folder, PhantomVolumeOptions(seed=3, spacing_mm=10), volumes=10)
    return read_volume_set(folder)


@pytest.fixture(scope="session")
def trained(phantom_set, tmp_path_factory):
    """The run folder of a training; its maps mean nothing."""
    out = tmp_path_factory.mktemp("run")
    train_grounder(phantom_set, out, tiny_settings(), torch.device("cpu"))
    return out
