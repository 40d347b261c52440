"""Files that would run code when unpickled: refused by every loader of the detector, never run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from data_manifests.support.errors import CheckpointError, ConfigError, LocalizeError
from data_manifests.support.settings import load_settings
from detector.config import DetectorSettings
from detector.detector import load_detector
from detector.network.backbones import build_backbone, load_backbone_weights
from detector.network.weights import read_tensors
from detector.proposals import ProposalOptions
from detector.roi_store import RoiStore, StoreHeader, create_store
from detector.run.training_run import TrainingRun

pytestmark = pytest.mark.faults


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


def as_pickle(payload, path):
    path.write_bytes(pickle.dumps({"metrics_bytes": 0, "w": payload}))


def as_torch_zip(payload, path):
    torch.save({"metrics_bytes": 0, "w": payload}, path)


def as_old_torch(payload, path):
    torch.save({"metrics_bytes": 0, "w": payload}, path, _use_new_zipfile_serialization=False)


def load_run(path):
    path.rename(path.parent / "checkpoint.pt")
    with TrainingRun(path.parent) as run:
        run.load_checkpoint()


def load_backbone(path):
    load_backbone_weights(build_backbone("resnet18", fpn_width=16, pretrained=True), path)


def load_weights(path):
    read_tensors(path)


def load_run_folder(path):
    (path.parent / "detector.json").write_text("{}")
    path.rename(path.parent / "detector.safetensors")
    load_detector(path.parent)


def load_store(path):
    header = StoreHeader(1, 5, 3, "d" * 64, ProposalOptions(count=5))
    create_store(path.parent / "store", ["a"], header)
    path.rename(path.parent / "store" / "features.npy")
    RoiStore(path.parent / "store")


def load_yaml(path):
    load_settings(DetectorSettings, path)


@pytest.mark.parametrize("form", [as_pickle, as_torch_zip, as_old_torch])
@pytest.mark.parametrize(
    "load", [load_run, load_backbone, load_weights, load_run_folder, load_store, load_yaml]
)
def test_a_payload_is_refused_and_does_not_run(tmp_path, form, load):
    canary = tmp_path / "canary"
    path = tmp_path / "file.pth"
    form(Payload(canary), path)
    with pytest.raises((CheckpointError, ConfigError)):
        load(path)
    assert not canary.exists()


def test_a_payload_in_an_array_of_objects_does_not_run(tmp_path):
    canary = tmp_path / "canary"
    path = tmp_path / "file.npy"
    np.save(path, np.array([Payload(canary)], dtype=object))
    with pytest.raises(CheckpointError):
        load_store(path)
    assert not canary.exists()


def test_a_payload_in_yaml_does_not_run(tmp_path):
    canary = tmp_path / "canary"
    path = tmp_path / "config.yaml"
    path.write_text(f"detector: !!python/object/apply:os.system ['touch {canary}']")
    with pytest.raises(LocalizeError):
        load_yaml(path)
    assert not canary.exists()


def test_the_canary_sings_where_it_is_let(tmp_path):
    """The payload is a real one: an unsafe loader would run it."""
    canary = tmp_path / "canary"
    as_pickle(Payload(canary), tmp_path / "file.pth")
    pickle.loads((tmp_path / "file.pth").read_bytes())  # noqa: S301 - the proof
    assert canary.exists()
