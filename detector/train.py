"""`train_detector`: a RetinaNet on boxed films; a killed training resumes to the same bits."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from data_manifests.support.errors import ConfigError, TrainingStopped
from data_manifests.support.progress_bar import progress_bar
from detector.boxed_films import BoxedFilms
from detector.clock import Clock
from detector.config import DetectorTrainConfig
from detector.dataset import MicroBatches, draw_weights
from detector.network.torchvision_parts import RetinaNet
from detector.optimization import (
    average_weights,
    build_optimizer,
    learning_rate,
    learning_rate_by_clock,
    training_memory_format,
    training_step,
)
from detector.run.device import warn_of_slow_bfloat16
from detector.run.processes import ProcessRank, broadcast_scores, process_group
from detector.run.run_state import Progress, RunState
from detector.run.training_run import TrainingRun
from detector.training_films import held_films, losses_in, training_films
from detector.validate import ValidationScores, validate_detector

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DetectorTraining:
    """A finished training: its folder, the epoch with the best weights (from 1), its scores."""

    folder: Path
    best_epoch: int
    scores: ValidationScores


def train_detector(
    model: RetinaNet,
    films: BoxedFilms,
    out: Path,
    *,
    image_size: int,
    training: DetectorTrainConfig,
    device: torch.device,
    description: Mapping[str, Any] | None = None,  # Any: what JSON can hold
    initial: Mapping[str, str | None] | None = None,
) -> DetectorTraining:
    """Train a network on boxes; store the weights with the best average precision in validation.

    `model` is torchvision's RetinaNet or a network with its interface: from a list of films
    (3, H, W) in [0, 1] and a list of `boxes` and `labels` it returns a dict of losses in training
    mode, and `boxes`, `labels` and `scores` of each film in evaluation mode. Films come with
    `image_size` as their longer side. Its weights are changed in place.

    `description` is written to `detector.json` and `initial` to `run.json` (checksums of the
    weights that `model` starts from); a checkpoint with others is refused.

    Writes `detector.safetensors`, `detector.json`, `metrics.jsonl`, `run.json` and `checkpoint.pt`
    into `out`. If there is a checkpoint the training resumes from it, with the same result as an
    uninterrupted run on the CPU with as many threads. Under torchrun each process takes its share
    of every batch.

    Raises:
        DataError: a film that cannot be read.
        ConfigError: a checkpoint of other settings or films, a batch size that the processes cannot
            share, or draw weights that leave no film.
        CheckpointError: a checkpoint that is damaged or another training's.
        Interrupted: SIGINT or SIGTERM, after saving.
        TrainingStopped: a loader process died; the last checkpoint can be resumed.
        FloatingPointError: a loss that is not finite; names its part and the films.
    """
    clock = None if training.minutes is None else Clock(training.minutes)
    if training.precision == "bfloat16":
        warn_of_slow_bfloat16(device)
    settings = {
        "detector": dict(description or {}),
        "training": training.model_dump(mode="json"),
        "data": {**films.checksums(), **(initial or {})},
    }
    with process_group(device) as process, TrainingRun(out, is_writer=process.rank == 0) as run:
        _check_share(training, process)
        model.to(device, memory_format=training_memory_format(model, device))
        averaged = copy.deepcopy(model)
        optimizer = build_optimizer(model, training)
        state = RunState(run, settings, {"model": model, "averaged": averaged}, optimizer)
        # Settings that a checkpoint is too old to have had their defaults.
        state.resume(added_settings={"training": DetectorTrainConfig().model_dump(mode="json")})
        progress = state.progress
        _check_clock(training, process, progress)
        parallel = losses_in(model, training)
        if process.world_size > 1:
            parallel = DistributedDataParallel(parallel)
        sampler = MicroBatches(
            len(films.train.images),
            draw_weights(films.train, training),
            training,
            first_step=progress.step,
            rank=process.rank,
            world_size=process.world_size,
        )
        batches = training_films(films.train, sampler, image_size, training, device)
        read = held_films(films.val, image_size, training, device)
        steps = sampler.steps_per_epoch
        with _worker_deaths_explained(run):
            while (
                progress.epoch < training.epochs
                and progress.stale_epochs < training.patience
                and not (_is_over(clock) and progress.best_scores)
            ):
                bar = progress_bar(
                    total=steps,
                    initial=progress.step - progress.epoch * steps,
                    desc=f"epoch {progress.epoch + 1}/{training.epochs}",
                    unit="step",
                    disable=process.rank != 0,
                )
                parallel.train()
                while progress.step < (progress.epoch + 1) * steps and not (
                    _is_over(clock) and progress.step
                ):
                    rate = _rate(progress.step, steps * training.epochs, training, clock)
                    parts = training_step(
                        parallel,
                        optimizer,
                        islice(batches, sampler.micro_batches_per_step),
                        films=sampler.films_per_step,
                        rate=rate,
                        training=training,
                        device=device,
                    )
                    average_weights(averaged, model, training.ema_decay, progress.step)
                    state.finish_step(
                        {**parts, "lr_rate": rate}, checkpoint_every=training.checkpoint_every
                    )
                    shown = {name: f"{value:.3f}" for name, value in parts.items()}
                    bar.set_postfix(shown, refresh=False)  # else every step is printed at once
                    bar.update()
                bar.close()
                started, scores = time.monotonic(), None
                if process.rank == 0:
                    scores = validate_detector(
                        averaged,
                        films.val,
                        image_size,
                        device,
                        read=read,
                        should_stop=lambda: run.is_signalled,
                    )
                if clock is not None:
                    clock.keep_free(time.monotonic() - started)
                scores = broadcast_scores(scores, ValidationScores, process, device)
                if scores is not None:  # else a signal came before the end of validation
                    logger.info("epoch %d: %s", progress.epoch + 1, scores)
                    progress.epoch += 1
                    state.select(
                        scores,
                        -scores.selection,
                        "averaged",
                        file="detector",
                        description={**settings["detector"], "validation": scores.as_metrics()},
                    )
                if run.is_interrupted or scores is not None:
                    state.save()
                    run.raise_if_interrupted()
        best = ValidationScores.from_metrics(progress.best_scores)
        return DetectorTraining(out, progress.best_epoch, best)


def _check_share(training: DetectorTrainConfig, process: ProcessRank) -> None:
    if training.batch_size % process.world_size:
        raise ConfigError(
            f"training.batch_size: expected a multiple of the {process.world_size} processes, "
            f"got {training.batch_size}"
        )


def _check_clock(training: DetectorTrainConfig, process: ProcessRank, progress: Progress) -> None:
    """Processes do not stop at the same step by their clocks, and a resumed run has no clock."""
    if training.minutes is not None and (process.world_size > 1 or progress.step > 0):
        raise ConfigError(
            "training.minutes: expected one process and a new run, got "
            + ("several processes" if process.world_size > 1 else "a checkpoint")
            + "; set training.epochs instead, or another --out"
        )


def _is_over(clock: Clock | None) -> bool:
    return clock is not None and clock.done() >= 1


def _rate(step: int, total_steps: int, training: DetectorTrainConfig, clock: Clock | None) -> float:
    if clock is None:
        return learning_rate(step, total_steps, training.warmup_steps)
    return learning_rate_by_clock(step, clock.done(), training.warmup_steps)


@contextmanager
def _worker_deaths_explained(run: TrainingRun) -> Iterator[None]:
    """torch raises a plain RuntimeError, from wherever the training happens to be."""
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TrainingStopped(
            f"a loader process died, mostly for want of memory ({error}); the checkpoint in "
            f"{run.folder} is kept: go on with --resume --set training.workers=0"
        ) from error
