from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys

import pytest

from data_manifests.support.atomic import lock_folder, write_text
from data_manifests.support.temporary import (
    remove_leftovers,
    temporary_file,
    temporary_folder,
)

KILLED = """
import os, signal, sys
from pathlib import Path
from data_manifests.support.temporary import temporary_file, temporary_folder

folder = Path(sys.argv[1])
temporary_file(folder / "checkpoint.pt").write_text("half")
with temporary_folder("out", folder) as name:
    (Path(name) / "table.csv").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def die_in(folder) -> list[str]:
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False)
    assert done.returncode == -signal.SIGKILL
    return sorted(path.name for path in folder.iterdir())


def test_a_killed_process_leaves_files_and_the_next_one_removes_them(tmp_path):
    assert len(die_in(tmp_path)) == 2
    with temporary_folder("another", tmp_path):
        assert len(os.listdir(tmp_path)) == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("start", [
    lambda folder: lock_folder(folder, "busy").close(),
    lambda folder: write_text(folder / "other.txt", "x"),
    remove_leftovers,
], ids=["lock", "write", "remove"])  # fmt: skip
def test_whatever_begins_in_a_folder_removes_what_is_left_there(tmp_path, start):
    assert len(die_in(tmp_path)) == 2
    start(tmp_path)
    assert not [name for name in os.listdir(tmp_path) if name.endswith((".tmp", ".tmp.pt"))]


def test_files_of_living_processes_of_other_machines_and_of_users_stay(tmp_path):
    mine = temporary_file(tmp_path / "a.json")
    mine.write_text("x")
    machine = mine.name.split(".")[2].split("-")[0]
    dead = subprocess.run(["true"], check=True) and die_in(tmp_path)[0].split("-")[1].split(".")[0]
    other_machine = "0" * 8 if machine != "0" * 8 else "1" * 8
    kept = {
        mine.name,
        f".a.{machine}-1.tmp.json",  # process 1 always lives
        f".a.{other_machine}-{dead}.tmp.json",
        f"a.{machine}-{dead}.tmp.json",  # not hidden: not ours
        ".a.tmp.json",
        ".prediction.unfinished",
    }
    for name in kept:
        (tmp_path / name).write_text("x")
    remove_leftovers(tmp_path)
    assert set(os.listdir(tmp_path)) == kept


def test_a_link_is_removed_and_not_followed(tmp_path):
    die_in(tmp_path)
    left = next(path for path in tmp_path.iterdir() if path.is_dir())
    target = tmp_path / "precious"
    left.rename(target)
    left.symlink_to(target)
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["precious"]
    assert (target / "table.csv").is_file()


def test_a_folder_that_is_not_there_is_no_error(tmp_path):
    remove_leftovers(tmp_path / "missing")


def test_the_folder_is_private_and_goes(tmp_path):
    with temporary_folder("x", tmp_path) as name:
        assert stat.S_IMODE(os.stat(name).st_mode) == 0o700
    assert os.listdir(tmp_path) == []


def test_a_dead_process_whose_parent_did_not_ask_is_dead(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # still a zombie
    assert len(os.listdir(tmp_path)) == 2
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == []
    child.wait()
