"""`TrainingRun`: the folder of one training: its lock, checkpoints, metrics and interruption.

Both trainings (detector, localizer) use it. A checkpoint is written beside its target and renamed;
it is read with `weights_only=True`, so nothing in it can run.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # what torch.load(weights_only=True) raises on a foreign file
from types import FrameType
from typing import IO, Any

import torch
from torch import distributed

from data_manifests.support.atomic import atomic_path, lock_folder
from data_manifests.support.errors import CheckpointError, Interrupted, raise_if_out_of_memory

logger = logging.getLogger(__name__)
CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.jsonl"
# Ctrl-C under torchrun comes twice at once: from the terminal and from torchrun.
ASKED_TWICE_S = 1.0


class TrainingRun:
    """An exclusively locked run folder. Use as a context manager.

    Only the main process of a distributed run writes (`is_writer`).
    """

    def __init__(self, folder: Path, *, is_writer: bool = True) -> None:
        self.folder = folder
        self.is_writer = is_writer
        self._lock: IO[str] | None = None
        self._signal = 0
        self._signal_time = 0.0
        self._agreed_signal = 0
        self._old_handlers: dict[int, Any] = {}  # Any: what signal.signal returns

    def __enter__(self) -> TrainingRun:
        if self.is_writer:
            self._lock = lock_folder(
                self.folder,
                "another training is running in this folder; wait for it or choose another --out",
            )
        for number in (signal.SIGINT, signal.SIGTERM):
            self._old_handlers[number] = signal.signal(number, self._note_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        if self._lock is not None:
            self._lock.close()

    def _note_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._signal and time.monotonic() - self._signal_time > ASKED_TWICE_S:
            raise KeyboardInterrupt  # stop at once, the last checkpoint is whole
        if not self._signal:
            self._signal, self._signal_time = number, time.monotonic()

    @property
    def is_signalled(self) -> bool:
        """Whether a signal reached this process."""
        return self._signal != 0

    @property
    def is_interrupted(self) -> bool:
        """Whether a signal asked the training to save and stop.

        In a distributed run the processes agree here, so all must ask, once a step: a process that
        stopped alone would leave the others waiting for it.
        """
        self._agreed_signal = self._signal
        if distributed.is_available() and distributed.is_initialized():
            device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
            number = torch.tensor(self._signal, device=device)
            distributed.all_reduce(number, distributed.ReduceOp.MAX)
            self._agreed_signal = int(number)
        return self._agreed_signal != 0

    def raise_if_interrupted(self) -> None:
        """Raise `Interrupted` if `is_interrupted` was true; call after saving."""
        if self._agreed_signal:
            raise Interrupted(self._agreed_signal)

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:  # Any: tensors, numbers, dicts
        """Write the checkpoint with the length of the metrics file it belongs to.

        Raises:
            OSError: the disk is full; the last checkpoint is as it was.
        """
        if not self.is_writer:
            return
        size = 0
        metrics = self.folder / METRICS
        if metrics.exists():
            with metrics.open("rb+") as handle:
                os.fsync(handle.fileno())
                size = handle.seek(0, os.SEEK_END)
        with atomic_path(self.folder / CHECKPOINT) as temporary:
            try:
                torch.save({**state, "metrics_bytes": size}, temporary)
            except RuntimeError as error:
                # torch's writer tells of a full disk in its own way; other errors can come from
                # anywhere here: a loader process that dies is raised by a signal handler.
                if not re.search(r"PytorchStreamWriter|unexpected pos|write failed", str(error)):
                    raise
                raise OSError(
                    f"{self.folder / CHECKPOINT}: could not be written (disk full?), the last one "
                    f"is kept: {_first_line(error)}"
                ) from error

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The last checkpoint, or None where there is none; metrics after it are cut off.

        Raises:
            CheckpointError: the file is damaged or foreign.
        """
        path = self.folder / CHECKPOINT
        if not path.exists():
            self._cut_metrics(0)
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            size = int(state["metrics_bytes"])
        except (
            OSError,
            RuntimeError,
            ValueError,
            EOFError,
            KeyError,
            IndexError,
            TypeError,
            UnpicklingError,
        ) as error:
            raise_if_out_of_memory(error)
            raise CheckpointError(
                f"{path}: expected a checkpoint of this toolkit, got {_first_line(error)}; "
                "delete it to start again"
            ) from error
        self._cut_metrics(size)
        return state

    def _cut_metrics(self, size: int) -> None:
        """Drop lines of steps that will be done again."""
        metrics = self.folder / METRICS
        # Never longer: after a power cut the file can be shorter than the checkpoint remembers.
        if self.is_writer and metrics.exists() and metrics.stat().st_size > size:
            os.truncate(metrics, size)

    def log(self, metrics: Mapping[str, float | int | None]) -> None:
        """Append one line to `metrics.jsonl`; not a number is refused (ValueError)."""
        if self.is_writer:
            with (self.folder / METRICS).open("a", encoding="utf-8") as handle:
                handle.write(json.dumps(dict(metrics), allow_nan=False) + "\n")


def has_checkpoint(folder: Path) -> bool:
    """Whether a training in this folder can be resumed."""
    return (folder / CHECKPOINT).exists()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
