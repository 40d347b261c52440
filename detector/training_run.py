"""`TrainingRun`: the folder of one training: its lock, checkpoints, metrics and interruption.

Both trainings (detector, localizer) use it. A checkpoint is written beside its target and renamed;
it is read with `weights_only=True`, so nothing in it can run.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # what torch.load(weights_only=True) raises on a foreign file
from types import FrameType
from typing import IO, Any

import torch

from data_manifests.atomic import atomic_path
from data_manifests.errors import CheckpointError, DataError

logger = logging.getLogger(__name__)
CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.jsonl"


class Interrupted(Exception):
    """SIGINT or SIGTERM came; the state is saved. `exit_code` is 130 or 143."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(signal_number).name}; state saved")
        self.exit_code = 128 + signal_number


class TrainingRun:
    """An exclusively locked run folder. Use as a context manager.

    Only the main process of a distributed run writes (`is_writer`).
    """

    def __init__(self, folder: Path, *, is_writer: bool = True) -> None:
        self.folder = folder
        self.is_writer = is_writer
        self._lock: IO[str] | None = None
        self._signal = 0
        self._old_handlers: dict[int, Any] = {}  # Any: what signal.signal returns

    def __enter__(self) -> TrainingRun:
        if self.is_writer:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / ".lock").open("w")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                self._lock.close()
                raise DataError(
                    f"{self.folder}: another training is running in this folder; wait for it or "
                    "choose another --out"
                ) from error
        for number in (signal.SIGINT, signal.SIGTERM):
            self._old_handlers[number] = signal.signal(number, self._note_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        if self._lock is not None:
            self._lock.close()

    def _note_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._signal:  # asked twice: stop at once, the last checkpoint is whole
            raise KeyboardInterrupt
        self._signal = number

    @property
    def is_interrupted(self) -> bool:
        """Whether a signal asked the training to save and stop."""
        return self._signal != 0

    def raise_if_interrupted(self) -> None:
        """Raise `Interrupted` if a signal came; call after saving."""
        if self._signal:
            raise Interrupted(self._signal)

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:  # Any: tensors, numbers, dicts
        """Write the checkpoint with the length of the metrics file it belongs to."""
        if not self.is_writer:
            return
        metrics = self.folder / METRICS
        size = metrics.stat().st_size if metrics.exists() else 0
        with atomic_path(self.folder / CHECKPOINT) as temporary:
            torch.save({**state, "metrics_bytes": size}, temporary)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The last checkpoint, or None where there is none; metrics after it are cut off.

        Raises:
            CheckpointError: the file is damaged or foreign.
        """
        path = self.folder / CHECKPOINT
        if not path.exists():
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
            TypeError,
            UnpicklingError,
        ) as error:
            raise CheckpointError(
                f"{path}: expected a checkpoint of this toolkit, got {str(error).splitlines()[0]}; "
                "delete it to start again"
            ) from error
        if self.is_writer and (self.folder / METRICS).exists():
            os.truncate(self.folder / METRICS, size)
        return state

    def log(self, metrics: Mapping[str, float | int | None]) -> None:
        """Append one line to `metrics.jsonl`; not a number is refused (ValueError)."""
        if self.is_writer:
            with (self.folder / METRICS).open("a", encoding="utf-8") as handle:
                handle.write(json.dumps(dict(metrics), allow_nan=False) + "\n")
