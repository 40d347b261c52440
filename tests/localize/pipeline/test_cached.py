"""`cached`: builds once, refuses other settings, survives kills and several builders."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time

import pytest

from data_manifests.support.errors import CheckpointError, ConfigError
from localize.pipeline.cached import cached

# A builder in a process of its own: appends a line for each start, then waits for a file `go`.
BUILDER = """
import sys, time
from pathlib import Path
from localize.pipeline.cached import cached

def build(folder):
    folder.mkdir(exist_ok=True)
    with (folder / "starts.txt").open("a") as starts:
        starts.write("start\\n")
    while not Path(sys.argv[2]).exists():
        time.sleep(0.01)
    (folder / "result.txt").write_text("done")

print(cached(Path(sys.argv[1]), {"seed": 1}, build) / "result.txt", flush=True)
"""


def write_result(folder):
    folder.mkdir()
    (folder / "result.txt").write_text("done")


def must_not_build(_folder):
    raise AssertionError("built again")


def start_builder(folder, go):
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(folder), str(go)], stdout=subprocess.PIPE, text=True
    )


def wait_for(path):
    for _ in range(2000):
        if path.exists():
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} never appeared")


def test_a_finished_build_is_used_again(tmp_path):
    settings = {"seed": 1, "sizes": (2, 3), "training": {"lr": 0.1}}
    assert cached(tmp_path / "a" / "b", settings, write_result) == tmp_path / "a" / "b"
    assert cached(tmp_path / "a" / "b", settings, must_not_build) == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b" / "result.txt").read_text() == "done"


def test_other_settings_are_refused_with_both_values(tmp_path):
    cached(tmp_path / "run", {"seed": 1, "training": {"lr": 0.1}}, write_result)
    with pytest.raises(ConfigError, match=r"training\.lr: 0\.1 before, 0\.2 now"):
        cached(tmp_path / "run", {"seed": 1, "training": {"lr": 0.2}}, must_not_build)


def test_an_unfinished_build_goes_on_with_its_files(tmp_path):
    def fail(folder):
        write_result(folder)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        cached(tmp_path / "run", {"seed": 1}, fail)
    with pytest.raises(ConfigError, match="seed: 1 before, 2 now"):
        cached(tmp_path / "run", {"seed": 2}, must_not_build)
    found = []
    cached(tmp_path / "run", {"seed": 1}, lambda run: found.append((run / "result.txt").exists()))
    assert found == [True]


def test_without_a_folder_other_settings_may_follow(tmp_path):
    def fail(_folder):
        raise ConfigError("bad batch size")

    with pytest.raises(ConfigError, match="bad batch size"):
        cached(tmp_path / "run", {"batch_size": 7}, fail)
    cached(tmp_path / "run", {"batch_size": 8}, write_result)
    shutil.rmtree(tmp_path / "run")
    cached(tmp_path / "run", {"batch_size": 9}, write_result)


def test_builds_may_be_nested(tmp_path):
    def build(folder):
        folder.mkdir()
        cached(folder / "part", {"seed": 1}, write_result)

    cached(tmp_path / "whole", {"seed": 1}, build)
    assert (tmp_path / "whole" / "part" / "result.txt").exists()


def test_a_killed_build_is_built_again(tmp_path):
    folder, go = tmp_path / "folder", tmp_path / "go"
    process = start_builder(folder, go)
    wait_for(folder / "starts.txt")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    go.touch()
    second = start_builder(folder, go)
    assert second.communicate(timeout=60)[0].strip() == str(folder / "result.txt")
    assert (folder / "starts.txt").read_text() == "start\nstart\n"


def test_of_two_builders_one_builds_and_the_other_waits(tmp_path):
    folder, go = tmp_path / "folder", tmp_path / "go"
    processes = [start_builder(folder, go) for _ in range(2)]
    wait_for(folder / "starts.txt")
    time.sleep(0.5)  # the other one is at the lock by now, or comes later: both must wait
    assert [process.poll() for process in processes] == [None, None]
    go.touch()
    for process in processes:
        assert process.communicate(timeout=60)[0].strip() == str(folder / "result.txt")
    assert (folder / "starts.txt").read_text() == "start\n"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"settings": {}}'])
def test_a_damaged_description_is_an_error(tmp_path, content):
    (tmp_path / "run").mkdir()
    (tmp_path / "run.cached.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"run\.cached\.json"):
        cached(tmp_path / "run", {}, must_not_build)
