"""`train_localizer`: region weights and attributes from film-report pairs; no boxes are needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn

from data_manifests.support.arrays import Ints
from data_manifests.support.errors import ConfigError, DataError, Problem
from data_manifests.support.progress_bar import progress_bar
from detector.run.processes import broadcast_scores, process_group
from detector.run.run_state import RunState
from detector.run.training_run import TrainingRun
from localize.network.config import ADDED_SETTINGS, LocalizeTrainConfig
from localize.network.localizer import Localizer
from localize.training.fit_to_films import fit_to_films
from localize.training.objective import Objective
from localize.training.pair_batch import read_pair_batch
from localize.training.training_data import TrainingData
from localize.training.validate import LocalizerScores, validate_localizer

FILMS_TOGETHER = 16  # of a batch, for their memory; SCAN's batch is 128


@dataclass(frozen=True)
class LocalizerTraining:
    """A finished training: its folder, the epoch with the best weights (0: untrained), the value
    that selected it (lower is better), and how many films it had."""

    folder: Path
    best_epoch: int
    best_value: float
    train_films: int
    val_films: int


def train_localizer(
    model: Localizer,
    objective: Objective,
    data: TrainingData,
    out: Path,
    *,
    training: LocalizeTrainConfig,
    description: Mapping[str, Any] | None = None,  # Any: what JSON can hold
) -> LocalizerTraining:
    """Train a localizer with an objective; store the epoch that validation prefers.

    `model` comes from `build_localizer`, or from your own parts. It is trained on its device, in
    place. The mean and standard deviation of the features, the place keywords and the
    film head are computed from the training films first. `training` gives seed, epochs, batches,
    optimiser and selection; losses and their weights are those of `objective`. `description` is
    written to `localizer.json`; a checkpoint with another one is refused.

    Writes `localizer.safetensors`, `localizer.json`, `metrics.jsonl`, `run.json` and
    `checkpoint.pt` into `out`. If there is a checkpoint the training resumes from it, with the same
    result as an uninterrupted run. Under torchrun each process takes its share of every batch.

    Raises:
        DataError: selection by boxes without boxes in validation.
        ConfigError: a checkpoint of other settings or data, or a batch that the processes cannot
            share.
        CheckpointError: a checkpoint that is damaged or another training's.
        Interrupted: SIGINT or SIGTERM, after saving.
        FloatingPointError: features, a loss or a gradient that is not finite; names the films.
    """
    _check_selection(data, training)
    device = next(model.parameters()).device
    settings = {
        "localizer": dict(description or {}),
        "training": training.model_dump(mode="json"),
        "sizes": data.sizes,
        "detector_sha256": data.store.header.detector_sha256,
        "data": data.checksums(),
    }
    with process_group(device) as process, TrainingRun(out, is_writer=process.rank == 0) as run:
        batch_size = min(training.batch_size, len(data.train))
        if batch_size % process.world_size:
            raise ConfigError(
                f"training.batch_size: expected a multiple of the {process.world_size} processes, "
                f"got {batch_size}"
            )
        # Without the attribute loss no attribute is learned.
        fit_to_films(model, data, fit_attributes=objective.weights.get("bce", 0.0) > 0)
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=training.lr, weight_decay=training.weight_decay
        )
        state = RunState(run, settings, {"model": model}, optimizer)
        state.resume(added_settings={"localizer": ADDED_SETTINGS})
        progress = state.progress

        def validate_and_select() -> None:
            scores = None
            if process.rank == 0:
                scores = validate_localizer(model, data.store, data.val, objective, device)
            scores = broadcast_scores(scores, LocalizerScores, process, device)
            if scores is None:
                raise FloatingPointError("validation failed in the first process; see its message")
            state.select(
                scores,
                scores.loss if training.selection == "loss" else -(scores.boxes or 0.0),
                "model",
                file="localizer",
                description={
                    **settings,
                    "keywords": list(data.words.keywords),
                    "validation": {"epoch": progress.epoch, **scores.as_metrics()},
                },
                min_change=training.min_change,
            )

        if progress.step == 0:
            validate_and_select()  # the untrained model: with anchored alpha the detector's ranking
        bar = progress_bar(
            total=training.epochs,
            initial=progress.epoch,
            desc="localizer",
            unit="epoch",
            disable=process.rank != 0,
        )
        while progress.epoch < training.epochs and progress.stale_epochs < training.patience:
            order = _epoch_order(len(data.train), batch_size, training.seed, progress.epoch)
            steps = len(order) // batch_size
            model.train()
            while progress.step < (progress.epoch + 1) * steps:
                first = progress.step % steps * batch_size
                batch = order[first : first + batch_size][process.rank :: process.world_size]
                with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                    # Dropout from (seed, step): a resumed run draws the same without saved states.
                    torch.manual_seed(training.seed * 1_000_003 + progress.step)
                    losses = _gradients(model, objective, data, batch, device)
                means = _mean_losses(losses, data, batch, progress.step, process.world_size)
                _step(model, optimizer, training, data, batch, progress.step, process.world_size)
                state.finish_step(means, checkpoint_every=training.checkpoint_every)
            progress.epoch += 1
            validate_and_select()
            state.save()
            bar.set_postfix(
                best=f"{progress.best_value:.4f}", epoch=progress.best_epoch, refresh=False
            )
            bar.update()
            run.raise_if_interrupted()
        bar.close()
    return LocalizerTraining(
        out, progress.best_epoch, progress.best_value, len(data.train), len(data.val)
    )


def _check_selection(data: TrainingData, training: LocalizeTrainConfig) -> None:
    has_boxes = any(boxes is not None and len(boxes) for boxes in data.val.boxes)
    if training.selection == "boxes" and not has_boxes:
        raise DataError.from_problems(
            [
                Problem(
                    file="boxes.csv",
                    expected="boxes of validation films, since selection is by boxes",
                    got="none",
                    fix="use --set training.selection=loss",
                )
            ]
        )


def _epoch_order(pairs: int, batch_size: int, seed: int, epoch: int) -> Ints:
    """Pairs of one epoch from (seed, epoch) alone, the last batch filled from the start."""
    order = np.random.default_rng((seed, epoch)).permutation(pairs)
    return np.resize(order, -(-pairs // batch_size) * batch_size)


def _gradients(
    model: Localizer,
    objective: Objective,
    data: TrainingData,
    batch: Ints,
    device: torch.device,
) -> dict[str, Tensor]:
    """Set the gradients of the mean loss over pairs `batch` (B,); returns each loss (B,).

    Films are read in parts, for their memory.
    """
    model.zero_grad(set_to_none=True)
    parts: list[dict[str, Tensor]] = []
    count = 1 if objective.needs_whole_batch else -(-len(batch) // FILMS_TOGETHER)
    for films in np.array_split(batch, count):
        losses = objective.parts(model, read_pair_batch(data.store, data.train, films, device))
        total = objective.total(losses).sum() / len(batch)
        total.backward()  # type: ignore[no-untyped-call] # torch leaves Tensor.backward untyped
        parts.append({name: loss.detach() for name, loss in losses.items()})
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _mean_losses(
    losses: Mapping[str, Tensor], data: TrainingData, batch: Ints, step: int, world_size: int
) -> dict[str, float]:
    """The mean of each loss over the batch of all processes: all log, and stop for, the same.

    Raises:
        FloatingPointError: a loss that is not finite; names the films.
    """
    values = torch.stack(list(losses.values()))  # (losses, B)
    means = values.mean(dim=1)
    if world_size > 1:
        distributed.all_reduce(means)
        means /= world_size
    found = dict(zip(losses, means.tolist(), strict=True))
    bad = [name for name, value in found.items() if not np.isfinite(value)]
    if bad:
        is_bad = ~torch.isfinite(values).all(dim=0).cpu().numpy()
        named = ", ".join(data.train.image_ids[k] for k in batch[is_bad]) or "of another process"
        raise FloatingPointError(
            f"step {step}: {', '.join(bad)} not finite on films {named}; the checkpoint is kept"
        )
    return found


def _step(
    model: Localizer,
    optimizer: torch.optim.Optimizer,
    training: LocalizeTrainConfig,
    data: TrainingData,
    batch: Ints,
    step: int,
    world_size: int,
) -> None:
    """Average the gradients over the processes, clip them and change the weights.

    Raises:
        FloatingPointError: a gradient that is not finite; no weight has changed.
    """
    if world_size > 1:
        for parameter in model.parameters():
            if parameter.grad is not None:
                distributed.all_reduce(parameter.grad)
                parameter.grad /= world_size
    norm = nn.utils.clip_grad_norm_(model.parameters(), training.clip_norm)
    if not torch.isfinite(norm):
        named = ", ".join(data.train.image_ids[k] for k in batch)
        raise FloatingPointError(
            f"step {step}: gradient not finite on films {named}; the checkpoint is kept"
        )
    optimizer.step()
