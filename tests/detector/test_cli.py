from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from data_manifests.support.errors import CheckpointError, ConfigError
from detector.cli import app
from detector.detector import read_detector_config
from detector.roi_store import RoiStore
from tests.detector.films import make_films, train_command


def run(*arguments: str):
    """The command in this process; its errors rise, as they do to the root command."""
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


@pytest.mark.slow
def test_train_then_propose(tmp_path):
    make_films(tmp_path / "m")
    make_films(tmp_path / "n" / "deep", train=1, val=1)
    command = train_command(tmp_path / "m", tmp_path / "run", "--json")[1:]
    done = run(*command, "--set", "training.epochs=1")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert told["best_epoch"] == 1
    assert told["folder"] == str(tmp_path / "run")

    with pytest.raises(ConfigError, match="go on with --resume"):
        run(*command)

    # Fine-tuning takes the network of what it starts from; the film size is the caller's.
    tune = ["train", "--manifest", str(tmp_path / "m"), "--out", str(tmp_path / "tuned")]
    tune += ["--initial", str(tmp_path / "run"), "--set", "detector.image_size=96"]
    tune += ["--set", "training.epochs=1", "--set", "training.batch_size=2", "--device", "cpu"]
    assert run(*tune).exit_code == 0
    before, tuned = (read_detector_config(tmp_path / name) for name in ("run", "tuned"))
    assert tuned == before.model_copy(update={"image_size": 96})

    store = tmp_path / "store"
    propose = ["propose", "--model", str(tmp_path / "run"), "--manifest", str(tmp_path / "m")]
    propose += ["--out", str(store), "--count", "5", "--device", "cpu"]
    assert "3 films written" in run(*propose, "--shard", "0/2").stdout
    (tmp_path / "m" / "film5.png").write_bytes(b"")
    done = run(*propose, "--on-error", "skip", "--json")
    told = json.loads(done.stdout)
    assert (told["written"], told["already_done"]) == (5, 0)  # an unfinished batch is done whole
    assert "skipped film5.png" in done.stderr
    with RoiStore(store) as opened:
        assert opened.status().tolist() == [1, 1, 1, 1, 1, 2]
        assert opened.header.count == 5
    with pytest.raises(CheckpointError, match="choose another --out"):
        run(*propose, "--nms-iou", "0.5")


def test_several_manifests_are_joined(tmp_path):
    from detector.cli import _read_manifests

    make_films(tmp_path / "a")
    b = make_films(tmp_path / "b", train=1, val=1)
    b.images["image_id"] = ["x", "y"]
    b.boxes["image_id"] = ["x", "y"]
    from data_manifests.tables.manifest import write_manifest

    write_manifest(b, tmp_path / "b")
    joined = _read_manifests([tmp_path / "a", tmp_path / "b"])
    assert len(joined.images) == 8
    assert all(path.exists() for path in joined.film_paths())
    assert len(_read_manifests([tmp_path / "a"]).images) == 6


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--set", "training.epoch=2"], "did you mean epochs"),
        (["--set", "detector.backbone=vgg"], "resnet50"),
        (["--config", "none.yaml"], "No such file"),
    ],
)
def test_wrong_training_options_are_refused(tmp_path, arguments, told):
    with pytest.raises(ConfigError, match=told):
        run(*train_command(tmp_path, tmp_path / "run")[1:], *arguments)
    assert not (tmp_path / "run").exists()


def test_cuda_is_refused_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="use --device cpu"):
        run(*train_command(tmp_path, tmp_path / "run")[1:], "--device", "cuda")


@pytest.mark.parametrize(
    ("option", "choices"),
    [("--on-error", "skip"), ("--feature", "fpn_roi_align"), ("--device", "cuda")],
)
def test_another_choice_is_refused_with_those_there_are(tmp_path, option, choices):
    command = ["propose", "--model", "m", "--manifest", "m", "--out", str(tmp_path / "s")]
    result = CliRunner().invoke(app, [*command, option, "other"])
    assert result.exit_code == 2
    assert choices in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--count", "0"], "count"),
        (["--shard", "3/2"], "shard"),
    ],
)
def test_wrong_proposal_options_are_refused(tmp_path, arguments, told):
    command = ["propose", "--model", "m", "--manifest", "m", "--out", str(tmp_path / "s")]
    with pytest.raises(ConfigError, match=told):
        run(*command, *arguments)
    assert not (tmp_path / "s").exists()
