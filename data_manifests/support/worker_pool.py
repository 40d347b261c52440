"""`worker_pool`: processes that end with this one, and whose death is an error with a name."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread

from data_manifests.support.errors import WorkerDied


@contextmanager
def worker_pool(
    processes: int, start: Callable[[], None] | None = None
) -> Iterator[ProcessPoolExecutor]:
    """New processes, each of which calls `start` first.

    Raises:
        WorkerDied: one was killed, for example for want of memory.
    """
    context = get_context("spawn")  # forking a process that has threads (torch, BLAS) is not safe
    try:
        with ProcessPoolExecutor(processes, context, _start_worker, (start,)) as pool:
            yield pool
    except BrokenProcessPool as error:
        raise WorkerDied(
            f"one of {processes} worker processes died, mostly for want of memory; run the same "
            "command again with fewer workers"
        ) from error


def end_with_parent(number: signal.Signals = signal.SIGKILL) -> None:
    """Watch the parent process from a thread of this worker process.

    A parent that is killed cannot stop its workers: they wait for work for ever, with their memory.
    `number` is the signal; a polite one lets a training save its state.
    """
    Thread(target=_end_with_parent, args=(number,), daemon=True).start()


def _start_worker(start: Callable[[], None] | None) -> None:
    end_with_parent()
    if start is not None:
        start()


def _end_with_parent(number: signal.Signals) -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os.kill(os.getpid(), number)
