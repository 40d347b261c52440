"""What a killed or interrupted command leaves behind: no process, no half table, no correction
that was saved and is gone."""

from __future__ import annotations

import csv
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_manifests.support.temporary import remove_leftovers
from localize.prediction.tables import write_prediction
from tests.detector.films import make_films, train_command
from tests.faults.zygote import ROOT, wait_until
from tests.localize.predictions import make_prediction

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def state_of(pid: int) -> str:
    """The system's letter for a process, "Z" where it is dead or gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def children_of(pid: int) -> list[int]:
    """The processes below a process, at any depth."""
    try:
        direct = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [each for child in map(int, direct) for each in (child, *children_of(child))]


def workers_of(pid: int) -> list[int]:
    """The worker processes below a process, without multiprocessing's own tracker."""
    found = []
    for child in children_of(pid):
        command = Path(f"/proc/{child}/cmdline").read_bytes()
        if b"spawn_main" in command:
            found.append(child)
    return found


def start(*command: str, log: Path, **environment: str) -> subprocess.Popen[bytes]:
    with log.open("w") as handle:
        return subprocess.Popen(
            [sys.executable, "-m", "pneumoloc", *command],
            cwd=ROOT,
            env={**ENVIRONMENT, **environment},
            stdout=handle,
            stderr=subprocess.STDOUT,
        )


def test_loader_processes_end_with_a_killed_training(zygote, tmp_path):
    make_films(tmp_path / "m")
    out = tmp_path / "run"
    endless = ("--set", "training.epochs=1000", "--set", "training.workers=2")
    run = zygote.start(train_command(tmp_path / "m", out, *endless), tmp_path / "log")
    wait_until(lambda: (out / "metrics.jsonl").exists() and len(workers_of(run.pid)) >= 2)
    workers = workers_of(run.pid)
    run.kill()
    killed = time.monotonic()
    assert run.wait() == -signal.SIGKILL
    wait_until(lambda: all(state_of(worker) == "Z" for worker in workers), seconds=20)
    assert time.monotonic() - killed < 20


def mining_reports(path: Path, count: int) -> Path:
    with path.open("w", newline="", encoding="utf-8") as handle:
        table = csv.writer(handle)
        table.writerow(("study_id", "text"))
        for n in range(count):
            table.writerow((f"s{n}", f"Left basal opacity {n}. No effusion. Heart size {n}."))
    return path


@pytest.mark.parametrize("victim", ["worker", "command"])
def test_a_killed_mining_leaves_no_table_and_no_process(tmp_path, victim):
    reports, out, log = (
        mining_reports(tmp_path / "r.csv", 60_000),
        tmp_path / "out",
        tmp_path / "log",
    )
    arguments = ("attributes", "mine", str(reports), "--out", str(out), "--workers", "2")
    run = start(*arguments, log=log)
    wait_until(lambda: any(out.glob(".findings.*")) and len(workers_of(run.pid)) == 2, seconds=60)
    workers = workers_of(run.pid)
    os.kill(workers[0] if victim == "worker" else run.pid, signal.SIGKILL)
    code = run.wait(timeout=60)
    wait_until(lambda: all(state_of(worker) == "Z" for worker in workers), seconds=20)
    assert all(path.name.startswith(".") for path in out.iterdir())
    if victim == "worker":
        assert code == 1
        errors = [line for line in log.read_text().splitlines() if "error: " in line]
        assert len(errors) == 1
        assert "worker processes died" in errors[0]
        assert "Traceback" not in log.read_text()
    else:
        assert code == -signal.SIGKILL
        remove_leftovers(out)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_an_interrupted_viewer_ends_at_once_and_keeps_what_was_saved(tmp_path, number, code):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    write_prediction(
        make_prediction(["film"], [("film", 1, 2, 30, 40, 0.9)]), tmp_path / "prediction"
    )
    log = tmp_path / "log"
    # A shell's background job, as this test may be, ignores Ctrl-C, and so would the viewer.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run = start(
        "view", str(tmp_path / "prediction"), "--no-browser", log=log, TMPDIR=str(temporary)
    )  # fmt: skip
    wait_until(lambda: "http://" in log.read_text() or run.poll() is not None, seconds=60)
    found = re.search(r"http://127\.0\.0\.1:(\d+)/\?key=([\w-]+)", log.read_text())
    assert found, log.read_text()
    connection = http.client.HTTPConnection("127.0.0.1", int(found[1]))
    body = json.dumps([{"xyxy": [10, 20, 110, 220], "label": "opacity"}])
    connection.request("POST", "/api/save?number=0", body, {"X-Key": found[2]})
    assert connection.getresponse().status == 200
    run.send_signal(number)  # the connection is still open
    sent = time.monotonic()
    assert run.wait(timeout=30) == code
    assert time.monotonic() - sent < 5
    assert "Traceback" not in log.read_text()
    assert list(temporary.iterdir()) == []
    saved = json.loads((tmp_path / "prediction/corrections/corrections.coco.json").read_text())
    assert len(saved["annotations"]) == 1
