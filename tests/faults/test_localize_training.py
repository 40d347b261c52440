"""The localizer's training under kills, signals, two processes and two trainers."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from data_manifests.support.errors import CheckpointError, DataError
from tests.localize.models import (
    Planted,
    finish,
    free_port,
    plant_store,
    run_pneumoloc,
    start,
    tiny_localizer,
    tiny_training,
    train_and_die,
    train_as_rank,
    train_planted,
    train_with_sgd,
)

pytestmark = pytest.mark.faults
CONFIG = {"dropout": 0.3}  # a resumed run must draw the same
RESULTS = ("localizer.safetensors", "localizer.json", "metrics.jsonl")
STEPS = 12  # 4 epochs of 3 steps
LOGS = STEPS + 5  # and 5 validations


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Planted:
    return plant_store(tmp_path_factory.mktemp("planted"), films=28, val=6, regions=4)


def settings(**changes):
    return tiny_training(**{"epochs": 4, "patience": 9, "checkpoint_every": 2, **changes})


@pytest.fixture(scope="module")
def uninterrupted(planted, tmp_path_factory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("whole")
    train_planted(planted, out, config=tiny_localizer(**CONFIG), training=settings())
    assert len((out / "metrics.jsonl").read_text().splitlines()) == LOGS
    return {name: (out / name).read_bytes() for name in RESULTS}


def random_kills(seed: int = 0) -> list[tuple[str, int]]:
    random = np.random.default_rng(seed)
    steps = random.choice(np.arange(1, LOGS + 1), 10, replace=False)
    saves = random.choice(np.arange(1, 10), 4, replace=False)
    # Each epoch that is better replaces two files, each checkpoint one, and run.json is first.
    replaces = random.choice(np.arange(1, 15), 6, replace=False)
    events = {"log": steps, "save": saves, "replace": replaces}
    return [(event, int(count)) for event, counts in events.items() for count in sorted(counts)]


@pytest.mark.parametrize(("event", "count"), random_kills())
def test_a_killed_training_resumes_to_the_same_bits(planted, uninterrupted, tmp_path, event, count):
    process = start(train_and_die, planted, tmp_path, event, count, settings())
    assert finish(process) == -signal.SIGKILL
    train_planted(planted, tmp_path, config=tiny_localizer(**CONFIG), training=settings())
    assert {name: (tmp_path / name).read_bytes() for name in RESULTS} == uninterrupted


def test_a_training_killed_again_and_again_still_ends_the_same(planted, uninterrupted, tmp_path):
    for count in (4, 5, 6):
        process = start(train_and_die, planted, tmp_path, "log", count, settings())
        assert finish(process) == -signal.SIGKILL
    train_planted(planted, tmp_path, config=tiny_localizer(**CONFIG), training=settings())
    assert {name: (tmp_path / name).read_bytes() for name in RESULTS} == uninterrupted


def train_command(planted: Planted, out, *more: str) -> list[str]:
    command = ["localize", "train", "--device", "cpu", "--out", str(out)]
    command += ["--manifest", str(planted.folder / "manifest"), "--store", str(planted.store)]
    command += ["--attributes", str(planted.attributes), "--words", str(planted.folder / "words")]
    changes = {**tiny_localizer(**CONFIG).model_dump(), **settings(epochs=100000).model_dump()}
    for name in ("geometry_width", "score_width", "hidden", "dropout"):
        command += ["--set", f"localizer.{name}={changes[name]}"]
    for name in ("batch_size", "lr", "checkpoint_every"):
        command += ["--set", f"training.{name}={changes[name]}"]
    return [*command, *more]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"]
)
def test_a_signal_ends_the_command_with_its_code_and_the_run_goes_on(
    planted, tmp_path, number, code
):
    out = tmp_path / "run"
    endless = ["--set", "training.epochs=100000", "--set", "training.patience=100000"]
    process = start(run_pneumoloc, train_command(planted, out, *endless), tmp_path / "log")
    metrics = out / "metrics.jsonl"
    wait_for(lambda: metrics.exists() and metrics.read_text().count("\n") >= 5, process)
    os.kill(process.pid, number)
    sent = time.monotonic()
    assert finish(process) == code
    assert time.monotonic() - sent < 30  # a step takes milliseconds; the machine may be busy
    assert "go on with the same command and --resume" in (tmp_path / "log").read_text()
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    last = json.loads(metrics.read_text().splitlines()[-1])
    assert state["progress"]["step"] == last["step"]  # no step is lost
    again = start(run_pneumoloc, train_command(planted, out, *endless), tmp_path / "log2")
    assert finish(again) == 2
    assert "go on with --resume" in (tmp_path / "log2").read_text()
    resumed = train_command(planted, out, *endless, "--resume")
    process = start(run_pneumoloc, resumed, tmp_path / "log3")
    before = len(metrics.read_text().splitlines())
    wait_for(lambda: len(metrics.read_text().splitlines()) > before + 3, process)
    os.kill(process.pid, signal.SIGKILL)
    finish(process)
    steps = [json.loads(line) for line in metrics.read_text().splitlines()]
    numbers = [line["step"] for line in steps if "triplet" in line]
    assert numbers == list(range(1, len(numbers) + 1))


def wait_for(condition, process, timeout: float = 120) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert process.is_alive(), f"ended with {process.exitcode}"
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


@pytest.mark.parametrize("batch_size", [8, 6])
def test_two_processes_train_what_one_does(planted, tmp_path, batch_size):
    training = settings(batch_size=batch_size, epochs=2, lr=0.05)
    port = free_port()
    processes = [
        start(train_as_rank, rank, 2, port, planted, tmp_path / "two", training)
        for rank in range(2)
    ]
    assert [finish(process) for process in processes] == [0, 0]
    train_with_sgd(planted, tmp_path / "one", training)
    one, two = (load_file(tmp_path / name / RESULTS[0]) for name in ("one", "two"))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=1e-5, rtol=0)
    lines = [
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    assert [sorted(line) for line in lines[0]] == [sorted(line) for line in lines[1]]
    for first, second in zip(*lines, strict=True):
        assert second == pytest.approx(first, abs=1e-5)


def test_a_batch_that_two_processes_cannot_share_is_refused(planted, tmp_path):
    training, port = settings(batch_size=7), free_port()
    processes = [
        start(train_as_rank, rank, 2, port, planted, tmp_path, training) for rank in range(2)
    ]
    assert [finish(process) for process in processes] == [1, 1]
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_second_trainer_in_the_same_folder_is_refused(planted, tmp_path):
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another training is running"):
            train_planted(planted, tmp_path)


@pytest.mark.parametrize("cut", [0, 1, 100, -1], ids=["empty", "a byte", "a piece", "all but one"])
def test_a_damaged_checkpoint_is_refused_not_restarted(planted, tmp_path, cut):
    train_planted(planted, tmp_path, training=settings(epochs=1))
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CheckpointError, match="delete it to start again"):
        train_planted(planted, tmp_path, training=settings(epochs=1))


def test_a_checkpoint_that_is_a_pickle_does_not_run(planted, tmp_path):
    canary = tmp_path / "canary"
    (tmp_path / "checkpoint.pt").write_bytes(pickle_that_touches(canary))
    with pytest.raises(CheckpointError):
        train_planted(planted, tmp_path)
    assert not canary.exists()


def pickle_that_touches(canary) -> bytes:
    """`os.system("touch ...")` as a pickle, written by hand."""
    return f"cos\nsystem\n(S'touch {canary}'\ntR.".encode()


def test_a_detectors_checkpoint_is_refused(planted, tmp_path):
    torch.save({"config": {"detector": {}}, "metrics_bytes": 0}, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match="expected a checkpoint of this training"):
        train_planted(planted, tmp_path)


def test_a_full_disk_keeps_the_last_checkpoint_and_leaves_no_temporary_file(
    planted, tmp_path, monkeypatch
):
    train_planted(planted, tmp_path, training=settings(epochs=1))
    kept = (tmp_path / "checkpoint.pt").read_bytes()

    def full(state, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    training = settings(epochs=1, checkpoint_every=1)
    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        train_planted(planted, tmp_path / "other", training=training)
    assert (tmp_path / "checkpoint.pt").read_bytes() == kept
    assert not [path for path in (tmp_path / "other").iterdir() if ".tmp" in path.name]
