"""`run_jobs`: calls in several processes, each with one thread."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import active_children, get_context

import torch

from data_manifests.support.one_thread import one_thread
from data_manifests.support.worker_pool import end_with_parent
from experiments.methods.inputs import Progress


@dataclass(frozen=True)
class Job:
    """A picklable call, and the jobs that can start when it is done."""

    name: str
    call: Callable[[], None]
    next_jobs: tuple[Job, ...] = ()


def run_jobs(jobs: Sequence[Job], processes: int, progress: Progress) -> None:
    """Run all jobs; `progress` gets the name of each finished one.

    An error in a job, Ctrl-C or SIGTERM stops all.
    """
    context = get_context("spawn")  # fork is unsafe beside torch's threads
    with ProcessPoolExecutor(processes, context, initializer=start_process) as pool:
        waiting, running = deque(jobs), dict[Future[None], Job]()
        try:
            while waiting or running:
                # Submit no more than can run: a stopped process would start the next one.
                while waiting and len(running) < processes:
                    job = waiting.popleft()
                    running[pool.submit(job.call)] = job
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job = running.pop(future)
                    future.result()
                    waiting.extend(job.next_jobs)
                    progress(job.name)
        except BaseException:
            for process in active_children():
                process.terminate()  # a training saves its state first
            raise


def start_process() -> None:
    """Use one thread, and stop when the parent process is gone."""
    torch.set_num_threads(1)
    one_thread()
    end_with_parent(signal.SIGTERM)  # a training saves its state first
