"""Processes of `pneumoloc` that start at once: a parent imports torch, then forks one for each run.

Importing torch takes seconds; twenty kills of a training would take minutes of nothing else.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
HANGS_AFTER = 90.0  # seconds without an end; a run takes a few
HUNG = -1000  # exit code of a run that was killed because it did not end


@dataclass
class Run:
    """One started command."""

    zygote: Zygote
    pid: int
    log: Path

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Exit code; minus the signal's number if one ended it; `HUNG` if it never ended."""
        return self.zygote.ask({"wait": self.pid})

    def output(self) -> str:
        return self.log.read_text(errors="replace")


class Zygote:
    """The parent process. Use as a context manager."""

    def __enter__(self) -> Zygote:
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def ask(self, question: dict) -> int:
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(self, arguments: list[str], log: Path, **environment: str) -> Run:
        """`pneumoloc ARGUMENTS`, its output in `log`."""
        question = {"run": arguments, "log": str(log), "environment": environment}
        return Run(self, self.ask(question), log)

    def run(self, arguments: list[str], log: Path, **environment: str) -> int:
        return self.start(arguments, log, **environment).wait()


def wait_until(claim, seconds: float = 600.0) -> None:
    """Poll until `claim()` is true."""
    end = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.002)


def _exit_code(pid: int) -> int:
    """Waits for a child; one that hangs is killed, so that later tests still get their answers."""
    end = time.monotonic() + HANGS_AFTER
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return HUNG
        time.sleep(0.005)


def _serve() -> None:
    import torch
    import torchmetrics.detection  # noqa: F401 - imported here so that children have it

    import detector.propose
    import detector.train_from_config  # noqa: F401
    import pneumoloc

    torch.set_num_threads(1)
    for line in sys.stdin:
        question = json.loads(line)
        if "wait" in question:
            print(_exit_code(question["wait"]), flush=True)
            continue
        pid = os.fork()
        if pid:
            print(pid, flush=True)
            continue
        log = os.open(question["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.update(question["environment"])
        # A suite that runs in the background has it ignored, and children inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if limit := question["environment"].get("TEST_FILE_LIMIT"):
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), hard))
        if limit := question["environment"].get("TEST_MEMORY_LIMIT"):  # bytes beyond those in use
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            most = pages * resource.getpagesize() + int(limit)
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        sys.argv = ["pneumoloc", *question["run"]]
        code = 1
        try:
            pneumoloc.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:  # a child must not go on with the parent's loop
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


if __name__ == "__main__":
    _serve()
