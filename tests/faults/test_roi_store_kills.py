"""Kills and crowds at the ROI store: the finished store is that of one quiet run."""

from __future__ import annotations

import json
import random
import signal
import time

import pytest
from safetensors.torch import save_file

from detector.roi_store import RoiStore
from tests.detector.films import make_detector, make_films, tiny_config
from tests.faults.zygote import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]
FILMS = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Films and a detector."""
    folder = tmp_path_factory.mktemp("store")
    make_films(folder / "m", train=FILMS - 2, val=2)
    (folder / "run").mkdir()
    model = make_detector()
    save_file(model.state_dict(), folder / "run" / "detector.safetensors")
    (folder / "run" / "detector.json").write_text(json.dumps(tiny_config().model_dump(mode="json")))
    return folder


def command(folder, out, *more):
    return [
        *("detector", "propose", "--model", str(folder / "run"), "--manifest", str(folder / "m")),
        *("--out", str(out), "--count", "10", "--batch-size", "2", "--device", "cpu", *more),
    ]


@pytest.fixture(scope="module")
def whole(zygote, folder):
    assert zygote.run(command(folder, folder / "whole"), folder / "log") == 0
    return contents(folder / "whole")


def contents(store):
    return {path.name: path.read_bytes() for path in store.iterdir()}


def done(out) -> int:
    if not (out / "store.json").exists():
        return 0
    with RoiStore(out) as store:
        return int((store.status() == 1).sum())


def test_ten_kills_change_no_byte(zygote, folder, whole, tmp_path):
    rng = random.Random(5)  # noqa: S311 - no secret
    kills = chain = 0
    while kills < 10:
        out = tmp_path / f"store{chain}"
        chain += 1
        while kills < 10 and done(out) < FILMS:
            run = zygote.start(command(folder, out), tmp_path / "log")
            target = min(FILMS, done(out) + rng.randint(0, 6))
            wait_until(lambda: done(out) >= target)  # noqa: B023 - waited for here
            time.sleep(rng.uniform(0, 0.3))
            run.kill()
            kills += run.wait() == -signal.SIGKILL
        assert zygote.run(command(folder, out), tmp_path / "log") == 0
        assert contents(out) == whole


def test_workers_share_one_store_from_its_first_moment(zygote, folder, whole, tmp_path):
    out = tmp_path / "store"
    runs = [
        zygote.start(command(folder, out, "--shard", f"{k}/3"), tmp_path / f"log{k}")
        for k in range(3)
    ]
    assert [run.wait() for run in runs] == [0, 0, 0], [run.output() for run in runs]
    assert contents(out) == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log0", "log1", "log2", "store"]


def test_two_runs_over_the_same_films_do_no_harm(zygote, folder, whole, tmp_path):
    out = tmp_path / "store"
    runs = [zygote.start(command(folder, out), tmp_path / f"log{k}") for k in range(2)]
    assert [run.wait() for run in runs] == [0, 0]
    assert contents(out) == whole


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_polite_signal_ends_with_its_code_and_the_store_goes_on(
    zygote, folder, whole, tmp_path, number, code
):
    out = tmp_path / "store"
    run = zygote.start(command(folder, out), tmp_path / "log")
    wait_until(lambda: done(out) >= 2)
    run.kill(number)
    assert run.wait() == code
    assert "Traceback" not in run.output()
    assert "run the same command again" in run.output()
    assert zygote.run(command(folder, out), tmp_path / "log") == 0
    assert contents(out) == whole
