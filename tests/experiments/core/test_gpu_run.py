"""Detectors trained side by side from a pack of films; here on the CPU, with a tiny network."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import yaml
from safetensors import safe_open

from data_manifests.support.atomic import write_text
from data_manifests.support.errors import ConfigError
from data_manifests.tables.manifest import make_manifest
from experiments.core.gpu_run import GpuRun, gpu_run, results_text
from experiments.data.film_pack import pack_films
from tests.detector.films import make_films

TINY = {"backbone": "efficientnet_lite0", "fpn_width": 16, "image_size": 64}
TRAINING = {
    "epochs": 50,
    "batch_size": 2,
    "workers": 0,
    "films_on_device": True,
    "film_loss": 0.1,
    "checkpoint_every": 1000,
}


@pytest.fixture
def preset(tmp_path):
    detectors = {
        name: {"start": start, "detector": TINY}
        for name, start in (("from_initial", "initial"), ("from_backbone", "backbone"))
    }
    path = tmp_path / "preset.yaml"
    write_text(path, yaml.safe_dump({"training": TRAINING, "detectors": detectors}))
    return path


@pytest.fixture
def pack(tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    films = make_films(folder, train=4, val=2)
    images = films.images.assign(source="siim_covid19")
    boxed = images["image_id"].isin(set(films.boxes["image_id"]))
    labels = pd.DataFrame({"image_id": images["image_id"], "opacity": boxed.astype(float)})
    labels["normal"] = 1 - labels["opacity"]
    pack_films(
        make_manifest(images, films.boxes, None, labels, root=films.root),
        tmp_path / "pack",
        processes=1,
    )
    return tmp_path / "pack"


def make_run(tmp_path, pack, initial):
    return GpuRun(pack, tmp_path / "out", 0.05, initial, None)


def test_a_name_that_the_preset_lacks_is_refused(tmp_path, pack, preset):
    run = make_run(tmp_path, pack, tmp_path)
    with pytest.raises(ConfigError, match="from_backbone, from_initial, got 'other'"):
        gpu_run(run, preset=preset, only=["other"], tell=print)
    with pytest.raises(ConfigError, match="--backbone-weights"):
        gpu_run(run, preset=preset, only=["from_backbone"], tell=print)


@pytest.mark.slow
def test_a_training_gives_weights_scores_and_logs(
    tmp_path, pack, preset, tiny_initial, monkeypatch
):
    monkeypatch.setattr("experiments.core.gpu_run.LATE_S", 300.0)  # imports on a busy machine
    run = make_run(tmp_path, pack, tiny_initial)
    results = gpu_run(run, preset=preset, only=["from_initial"], tell=lambda line: None)
    assert results["from_initial"]["exit_code"] == 0, results_text(results)
    assert results["from_initial"]["steps"] > 0
    assert results["initial"]["scores"]["siim"]["films"] == 2
    assert results["from_initial"]["scores"]["siim"]["boxes"] > 0
    with safe_open(run.out / "from_initial.safetensors", "pt") as file:
        config = json.loads(file.metadata()["detector.json"])
    assert config["image_size"] == 64
    assert json.loads((run.out / "results.json").read_text()) == json.loads(json.dumps(results))
    assert (run.out / "logs.tar.gz").stat().st_size > 0


@pytest.fixture
def tiny_initial(tmp_path):
    from safetensors.torch import save_file

    from detector.config import DetectorConfig
    from detector.network.model import build_detector

    folder = tmp_path / "initial"
    folder.mkdir()
    config = DetectorConfig.model_validate(TINY)
    save_file(build_detector(config).state_dict(), folder / "detector.safetensors")
    write_text(folder / "detector.json", config.model_dump_json())
    return folder
