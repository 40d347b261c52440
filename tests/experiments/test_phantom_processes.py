"""The processes of a phantom run end with it, whatever ended it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

import pytest

RUN = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from experiments.phantom_work import begin_process

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=begin_process)
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 120).result()
"""


@pytest.mark.slow
def test_a_killed_run_leaves_no_process(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(RUN)
    run = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE)
    assert run.stdout is not None
    child = int(run.stdout.readline())
    run.kill()
    # All processes of the run write to this pipe: it ends when the last of them is gone.
    ended, _, _ = select.select([run.stdout], [], [], 20)
    if not ended:
        os.kill(child, signal.SIGKILL)
    run.communicate()
    assert ended
