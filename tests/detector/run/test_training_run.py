"""The run folder: one trainer at a time, checkpoints whole or absent, metrics without repeats."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
import torch

from data_manifests.support.errors import CheckpointError, DataError, Interrupted
from detector.run.training_run import TrainingRun, has_checkpoint


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_checkpoint_comes_back(tmp_path):
    with TrainingRun(tmp_path) as run:
        assert run.load_checkpoint() is None
        assert not has_checkpoint(tmp_path)
        run.save_checkpoint({"step": 3, "model": {"w": torch.arange(3.0)}})
        assert has_checkpoint(tmp_path)
        state = run.load_checkpoint()
    assert state["step"] == 3
    assert torch.equal(state["model"]["w"], torch.arange(3.0))


def test_metrics_after_the_checkpoint_are_cut_off(tmp_path):
    with TrainingRun(tmp_path) as run:
        run.log({"step": 1})
        run.save_checkpoint({})
        run.log({"step": 2})
    with TrainingRun(tmp_path) as run:
        run.load_checkpoint()
        run.log({"step": 2, "again": 1})
    assert lines(tmp_path) == [{"step": 1}, {"step": 2, "again": 1}]


def test_metrics_of_a_run_that_never_saved_are_dropped(tmp_path):
    with TrainingRun(tmp_path) as run:
        run.log({"step": 1})
    with TrainingRun(tmp_path) as run:
        assert run.load_checkpoint() is None
        run.log({"step": 1, "again": 1})
    assert lines(tmp_path) == [{"step": 1, "again": 1}]


def test_metrics_that_a_power_cut_shortened_are_not_filled_with_zeros(tmp_path):
    with TrainingRun(tmp_path) as run:
        run.log({"step": 1})
        run.log({"step": 2})
        run.save_checkpoint({})
    size = (tmp_path / "metrics.jsonl").stat().st_size
    os.truncate(tmp_path / "metrics.jsonl", size // 2)
    with TrainingRun(tmp_path) as run:
        run.load_checkpoint()
    assert lines(tmp_path) == [{"step": 1}]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_metrics_that_are_no_numbers_are_refused(tmp_path, value):
    with TrainingRun(tmp_path) as run, pytest.raises(ValueError, match="JSON"):
        run.log({"loss": value})


def test_a_second_trainer_in_the_folder_is_refused(tmp_path):
    with (
        TrainingRun(tmp_path),
        pytest.raises(DataError, match="another training is running"),
        TrainingRun(tmp_path),
    ):
        pass
    with TrainingRun(tmp_path):
        pass  # the lock goes with its owner


def test_the_lock_holds_between_processes_and_dies_with_its_owner(tmp_path):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from detector.run.training_run import TrainingRun\n"
        "with TrainingRun(Path(sys.argv[1])): print('locked', flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout.readline() == "locked\n"
    with pytest.raises(DataError, match="another training"), TrainingRun(tmp_path):
        pass
    owner.kill()
    owner.wait()
    owner.stdout.close()
    with TrainingRun(tmp_path):
        pass


def test_only_the_writer_writes(tmp_path):
    with TrainingRun(tmp_path / "run", is_writer=False) as run:
        run.log({"step": 1})
        run.save_checkpoint({})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_noted_and_raised_after_saving(tmp_path, number, code):
    before = signal.getsignal(number)
    with TrainingRun(tmp_path) as run:
        run.raise_if_interrupted()
        assert not run.is_interrupted
        os.kill(os.getpid(), number)
        assert run.is_signalled
        assert run.is_interrupted
        with pytest.raises(Interrupted) as caught:
            run.raise_if_interrupted()
    assert caught.value.exit_code == code
    assert signal.getsignal(number) == before


def test_two_signals_at_once_are_one(tmp_path):
    with TrainingRun(tmp_path) as run:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)  # torchrun passes Ctrl-C on
        assert run.is_interrupted


def test_a_signal_after_a_while_stops_at_once(tmp_path, monkeypatch):
    with TrainingRun(tmp_path) as run:
        os.kill(os.getpid(), signal.SIGINT)
        monkeypatch.setattr(run, "_signal_time", run._signal_time - 2)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("cut", [0, 1, 10, 100, 0.5, 0.9, -1])
def test_a_cut_checkpoint_is_refused_with_the_way_out(tmp_path, cut):
    with TrainingRun(tmp_path) as run:
        run.save_checkpoint({"model": {"w": torch.zeros(1000)}})
        path = tmp_path / "checkpoint.pt"
        content = path.read_bytes()
        size = int(cut * len(content)) if isinstance(cut, float) else cut
        path.write_bytes(content[:size])
        with pytest.raises(CheckpointError, match=r"checkpoint\.pt: expected .*delete it"):
            run.load_checkpoint()


@pytest.mark.parametrize("content", [[1, 2], {"step": 1}, torch.zeros(2), {"metrics_bytes": "x"}])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "checkpoint.pt")
    with TrainingRun(tmp_path) as run, pytest.raises(CheckpointError, match="this toolkit"):
        run.load_checkpoint()


def test_a_loader_that_dies_while_saving_is_no_full_disk(tmp_path, monkeypatch):
    def save(*_):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")

    with TrainingRun(tmp_path) as run:
        run.save_checkpoint({"step": 1})
        monkeypatch.setattr(torch, "save", save)
        with pytest.raises(RuntimeError, match="DataLoader worker"):
            run.save_checkpoint({"step": 2})
        monkeypatch.undo()
        assert run.load_checkpoint()["step"] == 1
    assert not list(tmp_path.glob(".*tmp*"))
