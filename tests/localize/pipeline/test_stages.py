"""The stages: finished folders are used again, other settings are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from data_manifests.support.errors import ConfigError
from localize.network.config import LocalizerConfig
from localize.pipeline.stages import PairParts, make_bundle_stage, train_localizer_stage
from localize.training.settings import LocalizerSettings
from tests.localize.models import plant_store, tiny_localizer, tiny_training, write_tiny_bundle

CPU = torch.device("cpu")


def parts_of(planted) -> PairParts:
    return PairParts(
        detector=Path("not read"),
        rois=planted.store,
        attributes=planted.attributes,
        words=planted.folder / "words",
        pairs=planted.manifest,
        validation=planted.manifest.split("val"),
        training_data="planted films",
    )


def test_a_trained_localizer_is_used_again_and_refuses_other_settings(tmp_path):
    parts = parts_of(plant_store(tmp_path, films=14, val=4, regions=4))
    settings = LocalizerSettings(localizer=tiny_localizer(), training=tiny_training(epochs=1))
    run = train_localizer_stage(parts, tmp_path / "run", settings=settings, device=CPU)
    (run / "checkpoint.pt").unlink()  # users delete it to save space
    written = (run / "localizer.safetensors").stat().st_mtime_ns
    train_localizer_stage(parts, tmp_path / "run", settings=settings, device=CPU)
    assert (run / "localizer.safetensors").stat().st_mtime_ns == written
    other = settings.model_copy(update={"training": tiny_training(epochs=1, margin=0.123)})
    with pytest.raises(ConfigError, match=r"training\.margin: 0\.8 before, 0\.123 now"):
        train_localizer_stage(parts, tmp_path / "run", settings=other, device=CPU)


def test_a_bundle_of_another_localizer_is_refused(tmp_path):
    bundle = write_tiny_bundle(tmp_path)
    parts = parts_of(plant_store(tmp_path / "planted", films=4, val=1, regions=4))
    assert make_bundle_stage(parts, tmp_path / "localizer", bundle, device=CPU) == bundle
    path = tmp_path / "localizer" / "localizer.json"
    described = json.loads(path.read_text())
    described["localizer"] = LocalizerConfig(hidden=7).model_dump(mode="json")
    path.write_text(json.dumps(described))
    with pytest.raises(ConfigError, match=r"localizer\.hidden: 16 before, 7 now"):
        make_bundle_stage(parts, tmp_path / "localizer", bundle, device=CPU)
