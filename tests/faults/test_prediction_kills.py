"""Killed and parallel predictions as commands: the tables are those of one quiet run."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from data_manifests.support.csv_file import read_text_csv
from localize.prediction.tables import TABLES
from tests.localize.models import write_films, write_tiny_bundle

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
KILLS, WORKERS, FILMS = 10, 8, 40


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_tiny_bundle(folder)
    write_films(folder / "films", [(96, 96)] * FILMS)
    return folder


def command(inputs: Path, out: Path, *more: str) -> list[str]:
    words = ["predict", str(inputs / "films"), "--model", str(inputs / "bundle")]
    return [*words, "--batch-size", "2", "--device", "cpu", "--out", str(out), *more]


def tables(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in TABLES}


@pytest.fixture(scope="module")
def whole(zygote, inputs, tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    assert zygote.run(command(inputs, folder / "out"), folder / "log") == 0
    return tables(folder / "out")


def test_ten_kills_change_no_byte(zygote, inputs, whole, tmp_path, measured):
    rng = random.Random(5)  # noqa: S311 - no secret
    kills = runs = 0
    while kills < KILLS:
        out = tmp_path / f"out{runs}"
        runs += 1
        while not (out / "prediction.json").is_file():
            run = zygote.start(command(inputs, out), tmp_path / "log")
            if kills < KILLS:
                time.sleep(rng.uniform(0.2, 1.5))
                run.kill()
                kills += run.wait() == -signal.SIGKILL
            else:
                assert run.wait() == 0
        assert tables(out) == whole
        assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    measured(f"{kills} kills in {runs} predictions, all byte-identical")


def test_eight_workers_write_one_prediction(zygote, inputs, whole, tmp_path, measured):
    out = tmp_path / "out"
    runs = [
        zygote.start(command(inputs, out, "--shard", f"{n}/{WORKERS}"), tmp_path / f"log{n}")
        for n in range(WORKERS)
    ]
    assert [run.wait() for run in runs] == [0] * WORKERS
    ids = read_text_csv(out / "images.csv")["image_id"].tolist()
    assert len(ids) == len(set(ids)) == FILMS
    assert tables(out) == whole
    measured(f"{WORKERS} processes, {FILMS} films, byte-identical to one process")
