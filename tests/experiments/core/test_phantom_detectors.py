"""Phantom detectors trained apart from their experiment."""

from __future__ import annotations

import json

import torch
from safetensors.torch import load_file

from experiments.core.phantom_detectors import train_phantom_detectors
from localize.pipeline.phantom_stages import PhantomSize, hospital_a_films


def test_each_seed_has_its_films_and_a_trained_detector(tmp_path):
    size = PhantomSize(
        films_a=8, films_b=8, film_px=64, model_px=64, detector_epochs=1, detector_batch=4
    )
    lines = []
    folders = train_phantom_detectors(
        tmp_path, (3, 4), size, minutes=None, device=torch.device("cpu"), tell=lines.append
    )
    assert list(folders) == [3, 4]
    assert len(lines) == 2
    for seed, folder in folders.items():
        films = hospital_a_films(folder.parent, seed=seed, size=size)
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").open()]
        steps = -(-(films.images["split"] == "train").sum() // 4)  # the last batch may be short
        assert max(row["step"] for row in rows) == steps
        assert json.loads((folder / "run.json").read_text())["training"]["seed"] == seed
    weights = [load_file(folder / "detector.safetensors") for folder in folders.values()]
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
