"""Kills of the detector's training: whatever happens, the resumed run ends like the whole one."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import time
from pathlib import Path

import pytest
import torch

from tests.detector.films import make_films, train_command
from tests.faults.zygote import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]
KILLS = 20
STEPS = 8


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    make_films(folder)
    return folder


def command(films, out, *more, epochs=4):
    return train_command(films, out, "--resume", "--set", f"training.epochs={epochs}", *more)


@pytest.fixture(scope="module")
def whole(zygote, films, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert zygote.run(command(films, folder / "run"), folder / "log") == 0
    return folder / "run"


def result(folder: Path):
    """Weights, metrics and the trainer's state, bit for bit."""
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    flat = {
        f"optimizer.{number}.{name}": value
        for number, one in state["optimizer"]["state"].items()
        for name, value in one.items()
    }
    for part in ("model", "averaged"):
        flat |= {f"{part}.{name}": value for name, value in state[part].items()}
    return (
        {name: value.numpy().tobytes() for name, value in flat.items()},
        (folder / "metrics.jsonl").read_text(),
        (folder / "detector.json").read_text(),
        (folder / "detector.safetensors").read_bytes(),
    )


def steps_done(folder: Path) -> int:
    metrics = folder / "metrics.jsonl"
    return metrics.read_bytes().count(b"grad_norm") if metrics.exists() else 0


def kill_somewhere(run, out: Path, rng: random.Random) -> int:
    """Kill after a random number of steps and a random time into the next; gives its exit code."""
    target = min(steps_done(out) + rng.randint(0, 2), STEPS)
    wait_until(lambda: steps_done(out) >= target or has_ended(run.pid))
    time.sleep(rng.uniform(0, 0.8))
    run.kill()
    return run.wait()


def has_ended(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def leftovers(folder: Path):
    return [path.name for path in folder.iterdir() if ".tmp" in path.name]


def test_twenty_kills_at_random_moments_change_no_bit(zygote, films, whole, tmp_path):
    rng = random.Random(11)  # noqa: S311 - no secret
    expected = result(whole)
    kills = chain = 0
    while kills < KILLS:
        out = tmp_path / f"run{chain}"
        chain += 1
        while True:
            run = zygote.start(command(films, out), tmp_path / "log")
            if kills < KILLS:
                kills += kill_somewhere(run, out, rng) == -signal.SIGKILL
            elif run.wait() == 0:
                break
            if out.exists() and steps_done(out) >= STEPS and zygote_finished(zygote, films, out):
                break
        assert result(out) == expected, run.output()[-2000:]


def zygote_finished(zygote, films, out: Path) -> bool:
    """Let the last epoch's validation come to its end."""
    return zygote.run(command(films, out), out.parent / "log") == 0


@pytest.mark.parametrize("kills", [2])
def test_kills_with_two_loader_processes_change_no_bit(zygote, films, whole, tmp_path, kills):
    out = tmp_path / "run"
    for number in range(kills):
        run = zygote.start(command(films, out, "--set", "training.workers=2"), tmp_path / "log")
        wait_until(lambda: steps_done(out) > 2 * number)  # noqa: B023 - waited for here
        run.kill()
        assert run.wait() == -signal.SIGKILL
    assert zygote.run(command(films, out, "--set", "training.workers=2"), tmp_path / "log") == 0
    assert result(out) == result(whole)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_polite_signal_saves_tells_how_to_resume_and_loses_no_step(
    zygote, films, whole, tmp_path, number, code
):
    out, log = tmp_path / "run", tmp_path / "log"
    run = zygote.start(command(films, out, "--set", "training.checkpoint_every=100"), log)
    wait_until(lambda: steps_done(out) >= 3)
    start = time.monotonic()
    run.kill(number)
    assert run.wait() == code
    assert time.monotonic() - start < 60  # seconds on a free machine; the suite shares its cores
    assert "--resume" in run.output()
    assert torch.load(out / "checkpoint.pt", weights_only=True)["progress"]["step"] == steps_done(
        out
    )
    assert leftovers(out) == []
    assert zygote.run(command(films, out), log) == 0
    assert result(out) == result(whole)


def test_a_dead_loader_process_is_told_with_the_way_out(zygote, films, tmp_path):
    out = tmp_path / "run"
    more = ("--set", "training.workers=1", "--set", "training.epochs=500")
    run = zygote.start(train_command(films, out, *more), tmp_path / "log")
    wait_until(lambda: steps_done(out) >= 1)
    for child in loader_processes(run.pid):
        os.kill(child, signal.SIGKILL)
    assert run.wait() == 1
    assert "a loader process died" in run.output()
    assert "--resume --set training.workers=0" in run.output()
    assert "Traceback" not in run.output().rpartition("error:")[2]


def loader_processes(pid: int) -> list[int]:
    """Children that run a loader, not the tracker of shared memory."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    lines = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    return [child for child, line in lines.items() if b"spawn_main" in line]


def test_a_second_trainer_in_the_folder_is_refused(zygote, films, tmp_path):
    out = tmp_path / "run"
    first = zygote.start(command(films, out, epochs=500), tmp_path / "log")
    wait_until(lambda: steps_done(out) >= 1)
    assert zygote.run(command(films, out, epochs=500), tmp_path / "log2") == 2
    assert "another training is running" in (tmp_path / "log2").read_text()
    first.kill()
    first.wait()


def distributed(zygote, arguments, folder, world=2):
    """The command as torchrun starts it: one process a rank."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    return [
        zygote.start(
            arguments,
            folder / f"log{rank}",
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE=str(world),
            MASTER_ADDR="127.0.0.1",
            MASTER_PORT=port,
        )
        for rank in range(world)
    ]


def state_of(folder: Path):
    return torch.load(folder / "checkpoint.pt", weights_only=True)


def test_two_processes_take_the_step_of_one(zygote, films, tmp_path):
    # One step: later ones differ more, since AdamW turns a gradient's sign into a full step.
    # In bfloat16 the sums of one and of two processes are rounded differently.
    more = ("--set", "training.batch_size=4", "--set", "training.clip_norm=1e9")
    more = (*more, "--set", "training.precision=float32")
    assert zygote.run(command(films, tmp_path / "one", *more, epochs=1), tmp_path / "log") == 0
    runs = distributed(zygote, command(films, tmp_path / "two", *more, epochs=1), tmp_path)
    assert [run.wait() for run in runs] == [0, 0], runs[1].output()
    one, two = state_of(tmp_path / "one"), state_of(tmp_path / "two")
    assert one["progress"]["step"] == two["progress"]["step"] == 1
    moments = [
        {k: value["exp_avg"] for k, value in state["optimizer"]["state"].items()}
        for state in (one, two)
    ]
    assert len(moments[0]) > 100
    largest = max(float(moment.abs().max()) for moment in moments[0].values())
    for k, moment in moments[0].items():  # a tenth of the gradient
        torch.testing.assert_close(moments[1][k], moment, atol=1e-5 * largest, rtol=1e-5)
    norms = [
        json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[0])["grad_norm"]
        for name in ("one", "two")
    ]
    assert norms[1] == pytest.approx(norms[0], rel=1e-5)


def test_a_signal_to_one_process_stops_both_and_both_resume(zygote, films, tmp_path):
    out = tmp_path / "run"
    runs = distributed(zygote, command(films, out), tmp_path)
    wait_until(lambda: steps_done(out) >= 2)
    runs[1].kill(signal.SIGTERM)
    assert [run.wait() for run in runs] == [143, 143]
    assert state_of(out)["progress"]["step"] == steps_done(out)
    runs = distributed(zygote, command(films, out), tmp_path)
    assert [run.wait() for run in runs] == [0, 0]
    assert state_of(out)["progress"]["step"] == STEPS


def test_a_batch_that_the_processes_cannot_share_is_refused(zygote, films, tmp_path):
    more = ("--set", "training.batch_size=3")
    runs = distributed(zygote, command(films, tmp_path / "run", *more), tmp_path)
    assert [run.wait() for run in runs] == [2, 2]
    assert "expected a multiple of the 2 processes, got 3" in runs[0].output()
