"""`RunState`: what a training changes, and how it is saved, resumed and its best epoch selected.

Shared by the trainings of the detector and of the localizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from data_manifests.support.atomic import write_bytes, write_json
from data_manifests.support.errors import CheckpointError, raise_if_out_of_memory
from data_manifests.support.other_settings import refuse_other_settings
from detector.run.provenance import provenance
from detector.run.training_run import TrainingRun

NO_RESULT = ("workers", "checkpoint_every")  # settings that do not change the result
Settings = Mapping[str, Any]  # Any: what JSON can hold


class EpochScores(Protocol):
    """What validation returns: the line of an epoch in `metrics.jsonl`."""

    def as_metrics(self) -> dict[str, float | int | None]:
        """Names and numbers; None where undefined."""
        ...


@dataclass
class Progress:
    """How far a training is. `epoch` counts validated epochs.

    `best_epoch` is the epoch whose weights are stored, with its `best_scores` and the value that
    selected it (lower is better); `stale_epochs` have passed since.
    """

    step: int = 0
    epoch: int = 0
    best_epoch: int = 0
    best_value: float = float("inf")
    stale_epochs: int = 0
    best_scores: dict[str, float | int | None] = field(default_factory=dict)


class RunState:
    """The networks, optimizer and progress of a training in its run folder.

    `settings` is everything that decides the result; a checkpoint of other settings is refused.
    `networks` are stored under their names.
    """

    def __init__(
        self,
        run: TrainingRun,
        settings: Settings,
        networks: Mapping[str, nn.Module],
        optimizer: torch.optim.Optimizer,
    ) -> None:
        self.run = run
        self.settings = settings
        self.networks = networks
        self.optimizer = optimizer
        self.progress = Progress()

    def resume(self, *, added_settings: Settings | None = None) -> None:
        """Load the checkpoint of the folder if there is one; otherwise write `run.json`.

        `added_settings` are the values that settings had before they could be set: older
        checkpoints lack them.

        Raises:
            ConfigError: the checkpoint was made with other settings or data.
            CheckpointError: it is damaged, or another training's.
        """
        state = self.run.load_checkpoint()
        if state is None:
            self._write_description()
            return
        try:
            before = _merged(
                added_settings or {}, {part: state["config"][part] for part in self.settings}
            )
            refuse_other_settings(self.run.folder, before, self.settings, ignored=NO_RESULT)
            for name, network in self.networks.items():
                network.load_state_dict(state[name])
            self.optimizer.load_state_dict(state["optimizer"])
            self.progress = _read_progress(state)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise_if_out_of_memory(error)
            raise CheckpointError(
                f"{self.run.folder}: expected a checkpoint of this training, got {error!r}; choose "
                "another folder"
            ) from error
        if self.progress.step == 0:
            self._write_description()

    def save(self) -> None:
        """Write the checkpoint.

        Raises:
            OSError: the disk is full; the last checkpoint is as it was.
        """
        self.run.save_checkpoint(
            {
                "config": dict(self.settings),
                **{name: network.state_dict() for name, network in self.networks.items()},
                "optimizer": self.optimizer.state_dict(),
                "progress": asdict(self.progress),
            }
        )

    def finish_step(self, metrics: Mapping[str, float], *, checkpoint_every: int) -> None:
        """Count and log a step; save when it is time to.

        Raises:
            Interrupted: SIGINT or SIGTERM came; the state is saved.
        """
        self.progress.step += 1
        self.run.log({"step": self.progress.step, **metrics})
        if self.run.is_interrupted or self.progress.step % checkpoint_every == 0:
            self.save()
            self.run.raise_if_interrupted()

    def select(
        self,
        scores: EpochScores,
        value: float,
        network: str,
        *,
        file: str,
        description: Settings,
        min_change: float = 0.0,
    ) -> None:
        """Log the scores of epoch `progress.epoch`; write its weights if they are the best so far.

        They are if `value` is below the best one by more than the share `min_change` of it. The
        weights of `network` go to `FILE.safetensors`, `description` to `FILE.json`.
        """
        progress, metrics = self.progress, scores.as_metrics()
        self.run.log({"epoch": progress.epoch, "step": progress.step, **metrics})
        limit = progress.best_value - min_change * abs(progress.best_value)
        if value < limit or not np.isfinite(progress.best_value):
            progress.best_epoch, progress.best_value = progress.epoch, value
            progress.best_scores, progress.stale_epochs = metrics, 0
            if self.run.is_writer:
                write_network(self.networks[network], self.run.folder / file, description)
        else:
            progress.stale_epochs += 1

    def _write_description(self) -> None:
        if self.run.is_writer:
            content = {**self.settings, "provenance": provenance()}
            write_json(self.run.folder / "run.json", content)


def write_network(network: nn.Module, file: Path, description: Settings) -> None:
    """Write weights to `FILE.safetensors` and their description to `FILE.json`."""
    tensors = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
    write_bytes(file.with_suffix(".safetensors"), save(tensors))
    write_json(file.with_suffix(".json"), description)


def _merged(defaults: Settings, settings: Settings) -> dict[str, Any]:
    """`settings` with what only `defaults` has, at any depth."""
    merged = dict(defaults)
    for name, value in settings.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], value) if nested else value
    return merged


def _read_progress(state: Mapping[str, Any]) -> Progress:
    """The progress of a checkpoint, also of the detector's older form."""
    if "progress" in state:
        return Progress(**state["progress"])
    done, best = int(state["epochs_done"]), dict(state["best"])
    if best["selection"] < 0:  # nothing validated yet
        return Progress(step=int(state["step"]), epoch=done)
    best_epoch = int(state["best_epoch"]) + 1  # it counted from 0
    return Progress(
        step=int(state["step"]),
        epoch=done,
        best_epoch=best_epoch,
        best_value=-float(best["selection"]),
        stale_epochs=done - best_epoch,
        best_scores=best,
    )
