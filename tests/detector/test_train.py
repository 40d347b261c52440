"""Detector training: what it writes, refuses and resumes (kills are in tests/faults)."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch

import detector.train as module
from data_manifests.support.errors import CheckpointError, ConfigError, DataError, Interrupted
from detector.boxed_films import BoxedFilms
from detector.detector import load_detector
from detector.network.weights import weights_sha256
from detector.train import train_detector
from detector.train_from_config import train_from_config
from tests.detector.films import make_films, tiny_config, tiny_training

pytestmark = pytest.mark.slow
CPU = torch.device("cpu")


def train(manifest, out, *, backbone_weights=None, initial=None, config=None, **settings):
    return train_from_config(
        BoxedFilms.of(manifest),
        out,
        config=config or tiny_config(),
        training=tiny_training(**settings),
        backbone_weights=backbone_weights,
        initial=initial,
        device=CPU,
    )


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return make_films(tmp_path_factory.mktemp("films"))


def result(folder: Path):
    """All that a training decides: weights, their description, metrics, the trainer's state."""
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    optimizer = {
        f"{number}.{name}": value
        for number, one in state["optimizer"]["state"].items()
        for name, value in one.items()
    }
    return {
        "weights": (folder / "detector.safetensors").read_bytes(),
        "description": (folder / "detector.json").read_text(),
        "metrics": (folder / "metrics.jsonl").read_text(),
        "model": weights_sha256(state["model"]),
        "averaged": weights_sha256(state["averaged"]),
        "optimizer": weights_sha256(optimizer),
    }


@pytest.fixture(scope="module")
def whole(films, tmp_path_factory):
    """An uninterrupted run of two epochs of two steps."""
    folder = tmp_path_factory.mktemp("whole")
    train(films, folder)
    return folder


def test_the_folder_holds_a_loadable_detector_metrics_and_provenance(whole):
    trained = load_detector(whole)
    model, config = trained.model, trained.config
    assert config == tiny_config()
    assert torch.isfinite(model(list(torch.rand(1, 3, 64, 64)))[0]["scores"]).all()
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "epoch" not in row] == [1, 2, 3, 4]
    assert [row["epoch"] for row in rows if "epoch" in row] == [1, 2]
    run = json.loads((whole / "run.json").read_text())
    assert run["training"]["batch_size"] == 2
    assert len(run["data"]["train_sha256"]) == 64
    # The wheel's metadata may leave out the local part, such as +cu132.
    assert torch.__version__.startswith(run["provenance"]["torch"])


def test_the_same_run_twice_is_the_same_to_the_bit(films, whole, tmp_path, capsys):
    capsys.readouterr()
    train(films, tmp_path)
    assert "step" not in capsys.readouterr().err  # a log gets no line for each step
    assert result(tmp_path) == result(whole)


def test_a_finished_run_resumes_to_itself(films, whole, tmp_path):
    before = result(whole)
    found = train(films, whole)
    assert result(whole) == before
    assert found.scores.selection == json.loads(before["description"])["validation"]["selection"]


class StopAt:
    """Sends this process a signal when training or validation comes to a place."""

    def __init__(self, monkeypatch, name, call, number=signal.SIGTERM):
        self.left, self.number = call, number
        self.real = getattr(module, name)
        monkeypatch.setattr(module, name, self)

    def __call__(self, *arguments, **options):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)
        return self.real(*arguments, **options)


@pytest.mark.parametrize("place", ["training_step", "validate_detector"])
@pytest.mark.parametrize("call", [1, 2])
def test_a_signal_saves_and_the_resumed_run_ends_like_the_whole_one(
    films, whole, tmp_path, monkeypatch, place, call
):
    with monkeypatch.context() as patch:
        StopAt(patch, place, call)
        with pytest.raises(Interrupted) as caught:
            train(films, tmp_path, checkpoint_every=100)
    assert caught.value.exit_code == 143
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["progress"]["step"] == (call if place == "training_step" else 2 * call)
    assert state["progress"]["epoch"] == (0 if place == "training_step" else call - 1)
    train(films, tmp_path)
    assert result(tmp_path) == result(whole)


def test_other_settings_or_films_do_not_resume(films, whole, tmp_path):
    with pytest.raises(ConfigError, match=r"training\.lr: 0\.001 before, 0\.5 now"):
        train(films, whole, lr=0.5)
    with pytest.raises(ConfigError, match=r"detector\.fpn_width"):
        train(films, whole, config=tiny_config(fpn_width=32))
    others = make_films(tmp_path, train=6)
    with pytest.raises(ConfigError, match=r"data\.train_sha256"):
        train(others, whole)


def test_how_often_is_saved_and_who_reads_may_change(films, whole):
    before = result(whole)
    train(films, whole, checkpoint_every=7)
    assert result(whole) == before


def test_a_checkpoint_from_before_a_setting_existed_resumes(films, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "old")
    state = torch.load(tmp_path / "old" / "checkpoint.pt", weights_only=True)
    del state["config"]["training"]["augment_strength"]
    torch.save(state, tmp_path / "old" / "checkpoint.pt")
    train(films, tmp_path / "old")
    assert result(tmp_path / "old") == result(whole)
    with pytest.raises(ConfigError, match=r"augment_strength: 1\.0 before, 2\.0 now"):
        train(films, tmp_path / "old", augment_strength=2.0)


def test_a_checkpoint_of_another_trainer_is_refused(films, tmp_path):
    from detector.run.training_run import TrainingRun

    with TrainingRun(tmp_path) as run:
        run.save_checkpoint({"config": {}, "step": 1})
    with pytest.raises(CheckpointError, match="expected a checkpoint of this training"):
        train(films, tmp_path)


def test_training_stops_when_validation_no_longer_improves(films, tmp_path, monkeypatch):
    from detector.validate import ValidationScores

    values = iter([0.1, 0.5, 0.4, 0.3, 0.2, 0.1])
    monkeypatch.setattr(
        module,
        "validate_detector",
        lambda *a, **k: ValidationScores(None, None, next(values)),
    )
    found = train(films, tmp_path, epochs=9, patience=2, checkpoint_every=100)
    assert found.best_epoch == 2
    assert json.loads((tmp_path / "detector.json").read_text())["validation"]["selection"] == 0.5
    rows = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert len([row for row in rows if "epoch" in row]) == 4  # the best and two more, then the stop


def test_a_time_that_is_over_at_the_start_gives_a_step_and_a_validation(films, tmp_path):
    trained = train(films, tmp_path / "run", minutes=1e-6)
    assert trained.best_epoch == 1
    checkpoint = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert checkpoint["progress"]["step"] == 1
    load_detector(tmp_path / "run")


def test_a_loss_that_is_not_finite_keeps_the_last_checkpoint(films, whole, tmp_path):
    with pytest.raises(FloatingPointError, match="not finite on films film"):
        train(films, tmp_path, lr=1e30, lr_backbone=1e30, warmup_steps=0, clip_norm=1e30, epochs=5)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["progress"]["step"] >= 1


def test_pretrained_weights_are_built_in_and_remembered(films, tmp_path):
    from detector.network.backbones import build_backbone

    torch.manual_seed(4)
    body = build_backbone("efficientnet_lite0", fpn_width=16, pretrained=True).body
    torch.save(body.state_dict(), tmp_path / "imagenet.pth")
    train(films, tmp_path / "run", backbone_weights=tmp_path / "imagenet.pth", epochs=1)
    trained = load_detector(tmp_path / "run")
    model, config = trained.model, trained.config
    assert config.is_pretrained
    frozen = "stage0.0.layers.0.weight"
    assert torch.equal(model.backbone.body.get_parameter(frozen), body.get_parameter(frozen))
    with pytest.raises(ConfigError, match=r"is_pretrained: True before, False now"):
        train(films, tmp_path / "run", epochs=1)


def test_a_patient_or_film_in_both_splits_and_missing_boxes_are_one_error(films, tmp_path):
    import dataclasses

    images = films.images.assign(patient_id="same", sha256="a" * 64)
    films = dataclasses.replace(films, images=images, boxes=films.boxes.iloc[:0])
    with pytest.raises(DataError) as caught:
        train(films, tmp_path / "run")
    assert len(caught.value.problems) == 4
    assert "1 patients in both" in str(caught.value)
    assert "1 film files in both" in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_film_that_cannot_be_read_is_named(tmp_path, workers):
    films = make_films(tmp_path / "m")
    (tmp_path / "m" / "film2.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        train(films, tmp_path / "run", workers=workers)
    assert str(caught.value).startswith("film2.png: expected PNG, JPEG, TIFF, BMP, WebP or DICOM")
    assert "got an empty file" in str(caught.value)


def test_fine_tuning_starts_from_the_weights_at_any_film_size(films, whole, tmp_path):
    larger = tiny_config(image_size=96)
    # Rates so low that nothing moves: what was given comes back.
    rates = {"lr": 1e-12, "lr_backbone": 1e-12}
    train(films, tmp_path / "same", initial=whole, config=larger, epochs=1, **rates)
    given = load_detector(whole).model
    same = load_detector(tmp_path / "same")
    found, config = same.model, same.config
    assert config == larger
    for name, tensor in given.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], tensor, atol=1e-5, rtol=0)


def test_fine_tuning_refuses_another_network_by_name(films, whole, tmp_path):
    with pytest.raises(ConfigError, match="another fpn_width; leave out"):
        train(films, tmp_path / "other", initial=whole, config=tiny_config(fpn_width=32))
    assert not (tmp_path / "other").exists()


class TinyFinder(torch.nn.Module):
    """RetinaNet's interface: one box a film, its corners a linear map of the film's mean."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = torch.nn.Linear(1, 4)

    def forward(self, images, targets=None):
        means = torch.stack([image.mean()[None] for image in images])
        corners = self.backbone(means)
        if self.training:
            wanted = torch.stack([target["boxes"][0] for target in targets])
            return {"corners": (corners - wanted / 64).square().mean()}
        boxes = torch.cat([corners[:, :2], corners[:, :2] + corners[:, 2:].abs()], dim=1) * 64
        return [
            {"boxes": box[None], "scores": torch.ones(1), "labels": torch.zeros(1, dtype=int)}
            for box in boxes.detach()
        ]


def train_finder(films, out, **settings):
    torch.manual_seed(0)
    return train_detector(
        TinyFinder(),
        BoxedFilms.of(films),
        out,
        image_size=64,
        training=tiny_training(**settings),
        device=CPU,
        description={"network": "tiny finder"},
    )


def test_a_network_of_ones_own_is_trained_stored_and_resumed(films, tmp_path, monkeypatch):
    found = train_finder(films, tmp_path / "whole")
    assert found.folder == tmp_path / "whole"
    described = json.loads((tmp_path / "whole" / "detector.json").read_text())
    assert described["network"] == "tiny finder"
    with monkeypatch.context() as patch:
        StopAt(patch, "training_step", 3)
        with pytest.raises(Interrupted):
            train_finder(films, tmp_path / "cut")
    train_finder(films, tmp_path / "cut")
    assert result(tmp_path / "cut") == result(tmp_path / "whole")
    with pytest.raises(ConfigError, match=r"training\.lr"):
        train_finder(films, tmp_path / "cut", lr=0.5)


def test_a_checkpoint_from_before_the_common_form_goes_on(films, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        StopAt(patch, "training_step", 3)
        with pytest.raises(Interrupted):
            train(films, tmp_path)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    progress = state.pop("progress")
    assert progress["epoch"] == 1
    best_epoch = progress["best_epoch"] - 1  # it counted from 0
    state |= {
        "step": 3,
        "epochs_done": 1,
        "best_epoch": best_epoch,
        "best": progress["best_scores"],
    }
    torch.save(state, tmp_path / "checkpoint.pt")
    train(films, tmp_path)
    assert result(tmp_path) == result(whole)
