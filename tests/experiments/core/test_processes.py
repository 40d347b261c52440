"""The processes of a run end with it, for whatever reason it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from experiments.core.processes import start_process

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=start_process)
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 120).result()
"""


STOPPED_RUN = """
import os, signal, time
from functools import partial
from pathlib import Path
from data_manifests.support.errors import Interrupted
from experiments.core.processes import Job, run_jobs
from pneumoloc import main

def train(seed):
    # As a training: a signal is noted, and the state saved before the end.
    asked = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    print(os.getpid(), flush=True)
    begun = Path(__file__).parent
    (begun / f"begun_{{seed}}").touch()
    while len(list(begun.glob("begun_*"))) < 2:
        time.sleep(0.05)
    if seed == {broken}:
        raise ValueError("a broken seed")
    for _ in range(2400):
        if asked:
            raise Interrupted(asked[0])
        time.sleep(0.05)

if __name__ == "__main__":
    import typer, pneumoloc
    app = typer.Typer()
    pneumoloc.command_line = lambda: app

    @app.command()
    def run():
        jobs = [Job(str(seed), partial(train, seed)) for seed in range(6)]
        run_jobs(jobs, 2, print)  # more jobs than processes

    main()
"""

NEXT_JOBS = """
from functools import partial
from experiments.core.processes import Job, run_jobs

def work(name):
    pass

if __name__ == "__main__":
    done = []
    jobs = [
        Job(f"first {{k}}", partial(work, k), (Job(f"then {{k}}", partial(work, k)),))
        for k in range(3)
    ]
    run_jobs(jobs, 2, done.append)
    print(",".join(done))
"""


def begin(folder: Path, script: str, children: int) -> tuple[subprocess.Popen[bytes], list[int]]:
    """A run of a script, and its processes, each of which prints its id when it has begun."""
    file = folder / "run.py"
    file.write_text(script)
    run = subprocess.Popen([sys.executable, file], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout is not None
    return run, [int(run.stdout.readline()) for _ in range(children)]


def ends(run: subprocess.Popen[bytes], children: list[int]) -> bool:
    """Whether all processes of a run are gone soon: all write to its pipe, which then ends."""
    try:
        run.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        run.kill()
        for child in children:
            os.kill(child, signal.SIGKILL)
        run.communicate()
        return False
    return True


@pytest.mark.slow
def test_a_terminated_run_does_not_wait_for_its_processes(tmp_path):
    run, children = begin(tmp_path, STOPPED_RUN.format(broken="None"), 2)
    run.terminate()
    assert ends(run, children)
    assert run.returncode == 128 + signal.SIGTERM


@pytest.mark.slow
def test_a_broken_seed_does_not_wait_for_the_others(tmp_path):
    run, children = begin(tmp_path, STOPPED_RUN.format(broken="1"), 2)
    assert ends(run, children)
    assert run.returncode == 1


@pytest.mark.slow
def test_a_killed_run_leaves_no_process(tmp_path):
    run, children = begin(tmp_path, RUN, 1)
    run.kill()
    assert ends(run, children)


@pytest.mark.slow
def test_a_job_starts_when_the_one_before_it_is_done(tmp_path):
    file = tmp_path / "run.py"
    file.write_text(NEXT_JOBS.replace("{{", "{").replace("}}", "}"))
    run = subprocess.run([sys.executable, file], capture_output=True, text=True, check=True)
    done = run.stdout.strip().split(",")
    assert sorted(done) == [f"{step} {k}" for step in ("first", "then") for k in range(3)]
    assert all(done.index(f"first {k}") < done.index(f"then {k}") for k in range(3))
