"""A kill at any moment of writing a checkpoint leaves a whole one: the old or the new."""

from __future__ import annotations

import os
import signal

import pytest
import torch

import data_manifests.support.atomic as atomic
from detector.run.training_run import TrainingRun

pytestmark = pytest.mark.faults
ELEMENTS = 50_000


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class HalfWritten:
    """Stands for `torch.save`: writes the first part of the file, then the process is killed."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, state, path) -> None:
        real_save(state, path)
        os.truncate(path, int(self.share * path.stat().st_size))
        die()


real_save, real_fsync, real_replace = torch.save, os.fsync, os.replace


def after(real):
    def call(*arguments):
        real(*arguments)
        die()

    return call


MOMENTS = {
    f"after {share:.0%} of the file": ("save", HalfWritten(share / 20)) for share in range(21)
}
MOMENTS |= {
    "before fsync": ("fsync", die),
    "after fsync": ("fsync", after(real_fsync)),
    "before replace": ("replace", die),
    "after replace": ("replace", after(real_replace)),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", [1, 2])
def test_the_newest_whole_checkpoint_loads(tmp_path, moment, number):
    with TrainingRun(tmp_path) as run:
        for step in range(number):
            run.save_checkpoint({"step": step, "w": torch.full((ELEMENTS,), float(step))})
    pid = os.fork()
    if pid == 0:
        place, trap = MOMENTS[moment]
        if place == "save":
            torch.save = trap
        else:
            setattr(atomic.os, place, trap)
        with TrainingRun(tmp_path) as run:
            run.save_checkpoint({"step": number, "w": torch.full((ELEMENTS,), float(number))})
        os._exit(0)  # the trap was not reached
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    left = [path.name for path in tmp_path.iterdir() if ".tmp" in path.name]
    assert len(left) == (0 if moment == "after replace" else 1)
    with TrainingRun(tmp_path) as run:
        assert sorted(os.listdir(tmp_path)) == [".lock", "checkpoint.pt"]
        state = run.load_checkpoint()
        assert state["step"] == (number if moment == "after replace" else number - 1)
        assert torch.equal(state["w"], torch.full((ELEMENTS,), float(state["step"])))
        run.save_checkpoint({"step": 99})  # and the run goes on
        assert run.load_checkpoint()["step"] == 99
