from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from data_manifests.support.errors import WorkerDied
from data_manifests.support.worker_pool import worker_pool

PARENT = """
import os, time
from data_manifests.support.worker_pool import worker_pool

if __name__ == "__main__":
    with worker_pool(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 120).result()
"""


@pytest.mark.faults
def test_a_killed_worker_is_an_error_with_a_name():
    with pytest.raises(WorkerDied, match="2 worker processes died"), worker_pool(2) as pool:
        pool.submit(os.kill, pool.submit(os.getpid).result(), signal.SIGKILL).result()


def test_other_errors_are_those_of_the_call():
    with pytest.raises(ZeroDivisionError), worker_pool(1) as pool:
        pool.submit(divmod, 1, 0).result()


@pytest.mark.faults
@pytest.mark.parametrize("task", ["idle", "busy"])
def test_workers_end_with_a_killed_parent(tmp_path, task):
    script = tmp_path / "run.py"
    wait = "pool.submit(time.sleep, 120).result()" if task == "busy" else "time.sleep(120)"
    script.write_text(PARENT.replace("pool.submit(time.sleep, 120).result()", wait))
    run = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE)
    assert run.stdout is not None
    worker = int(run.stdout.readline())
    run.kill()
    try:
        run.communicate(timeout=20)  # the worker has the pipe, too: it ends when both are gone
    except subprocess.TimeoutExpired:
        os.kill(worker, signal.SIGKILL)
        raise
