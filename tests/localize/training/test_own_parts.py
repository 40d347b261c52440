"""Parts of a researcher's own: the example of the documentation, and an own loss and alpha."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from data_manifests.support.errors import ConfigError
from detector.roi_store import RoiStore
from localize import training as t
from localize.training.training_data import TrainingData
from tests.localize.models import CPU, plant_store, tiny_localizer, tiny_training

ROOT = Path(__file__).parents[3]
EXAMPLE = re.compile(r"```python\n(# own_fusion\.py\n.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return plant_store(tmp_path_factory.mktemp("planted"), films=40, val=12)


def metrics_of(folder):
    return [json.loads(row) for row in (folder / "metrics.jsonl").read_text().splitlines()]


def test_the_documented_fusion_of_ones_own_has_twenty_lines_and_trains(planted, tmp_path):
    code = EXAMPLE.search((ROOT / "docs" / "training.md").read_text()).group(1)
    lines = [line for line in code.splitlines()[1:] if line.strip()]
    assert len(lines) <= 20
    (tmp_path / "quickstart").mkdir()
    (tmp_path / "quickstart" / "hospital_b").symlink_to(planted.folder / "manifest")
    for name in ("rois", "attributes", "words"):
        (tmp_path / "quickstart" / name).symlink_to(planted.folder / name)
    (tmp_path / "own_fusion.py").write_text(code)
    subprocess.run(
        [sys.executable, "own_fusion.py"],
        cwd=tmp_path,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    weights = load_file(tmp_path / "own" / "localizer.safetensors")
    assert {"fusion.gate.weight", "fusion.project.weight"} <= weights.keys()
    rows = metrics_of(tmp_path / "own")
    losses = [row["triplet"] + row["bce"] for row in rows if "triplet" in row]
    assert losses[-1] < losses[0]  # of the training films


class OwnAlpha(torch.nn.Module):
    """The detector's logits alone, with a learned temperature."""

    def __init__(self) -> None:
        super().__init__()
        self.temperature = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, fused, score_logits):
        return self.temperature * score_logits


def entropy(model, output, batch):
    """A loss of one's own: alpha should be sure."""
    return -(output.alpha * output.alpha.clamp(min=1e-9).log()).sum(dim=1)


def train_own(planted, out, description):
    config, settings = tiny_localizer(), tiny_training(epochs=4, lr=0.1, patience=9)
    with RoiStore(planted.store) as store:
        data = TrainingData(
            store, planted.pairs("train", store), planted.pairs("val", store), planted.words
        )
        torch.manual_seed(0)
        model = t.build_localizer(config, **data.sizes)
        model.roi_weights = OwnAlpha()
        objective = t.build_objective(config, settings, data.words, data.train, CPU)
        objective = dataclasses.replace(
            objective, losses={"entropy": entropy}, weights={"entropy": 2.0}
        )
        t.train_localizer(model, objective, data, out, training=settings, description=description)


def test_a_loss_and_an_alpha_of_ones_own_are_trained(planted, tmp_path):
    train_own(planted, tmp_path, {"alpha": "temperature"})
    weights = load_file(tmp_path / "localizer.safetensors")
    assert weights["roi_weights.temperature"] > 1.5  # a sharper softmax has less entropy
    rows = metrics_of(tmp_path)
    assert all(set(row) == {"step", "entropy"} for row in rows if "epoch" not in row)
    described = json.loads((tmp_path / "localizer.json").read_text())
    assert described["localizer"] == {"alpha": "temperature"}
    with pytest.raises(ConfigError, match=r"localizer\.alpha: 'temperature' before, 'other' now"):
        train_own(planted, tmp_path, {"alpha": "other"})


def test_weights_that_name_no_loss_are_refused(planted):
    with RoiStore(planted.store) as store:
        pairs = planted.pairs("train", store)
    objective = t.build_objective(tiny_localizer(), tiny_training(), planted.words, pairs, CPU)
    with pytest.raises(ValueError, match="weights must name the losses"):
        dataclasses.replace(objective, weights={"triplet": 1.0})
