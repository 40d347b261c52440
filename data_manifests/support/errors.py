"""The errors of the toolkit: what is wrong, where, expected against got, and what to do."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass

MAX_PROBLEMS_SHOWN = 20


@dataclass(frozen=True)
class Problem:
    """One defect of the input, named so that its owner finds it.

    `row` is the line number in the file as a text editor shows it (the header is line 1), None
    where the defect is not in one row. `field` is a column, key or DICOM tag; empty for a file.
    """

    file: str
    expected: str
    got: str
    row: int | None = None
    field: str = ""
    fix: str = ""

    def __str__(self) -> str:
        where = self.file
        if self.row is not None:
            where += f" row {self.row}"
        if self.field:
            where += f", field {self.field}"
        fix = f"; {self.fix}" if self.fix else ""
        return f"{where}: expected {self.expected}, got {self.got}{fix}"


class LocalizeError(Exception):
    """Base of all errors that the toolkit raises on purpose."""


class DataError(LocalizeError):
    """Input data is wrong. `problems` holds every defect found, not only those shown."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)

    @classmethod
    def from_problems(cls, problems: Sequence[Problem]) -> DataError:
        """One error for a list of problems: their count and the first twenty."""
        if len(problems) == 1:
            return cls(str(problems[0]), problems)
        lines = [f"{len(problems)} problems"]
        lines += [f"  {problem}" for problem in problems[:MAX_PROBLEMS_SHOWN]]
        if len(problems) > MAX_PROBLEMS_SHOWN:
            lines.append(f"  ... and {len(problems) - MAX_PROBLEMS_SHOWN} more")
        return cls("\n".join(lines), problems)


class ConfigError(LocalizeError):
    """An option, configuration file or lexicon is wrong."""


class CheckpointError(LocalizeError):
    """A checkpoint, model bundle or store is damaged, foreign or of another version."""


class TrainingStopped(LocalizeError):
    """A training cannot go on (a loader process died); its last checkpoint is kept."""


class WorkerDied(LocalizeError):
    """A worker process died; nothing was written."""


class Interrupted(Exception):
    """SIGINT or SIGTERM came; the state is saved. `exit_code` is 130 or 143."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(signal_number).name}; state saved")
        self.exit_code = 128 + signal_number

    def __reduce__(self) -> tuple[type[Interrupted], tuple[int]]:
        """Comes back whole from another process."""
        return Interrupted, (self.exit_code - 128,)


# How torch, its allocator on the CPU, oneDNN, OpenCV and the C++ library tell of it.
OUT_OF_MEMORY = (
    "out of memory",
    "DefaultCPUAllocator",
    "alloc_cpu.cpp",
    "bad_alloc",
    "Cannot allocate memory",
    "Insufficient memory",
    "failed to map segment",
    "can't start new thread",
    "could not create a primitive",  # oneDNN's convolutions
    "error return without exception set",  # Python, where the error itself found no memory
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is out, in whatever library; no library is imported."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return any(words in str(error) for words in OUT_OF_MEMORY)


def raise_if_out_of_memory(error: BaseException) -> None:
    """Raise an error again that says that memory is out: the file that was read is not to blame.

    Raises:
        BaseException: `error` itself.
    """
    if is_out_of_memory(error):
        raise error
