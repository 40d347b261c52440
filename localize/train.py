"""`train_localizer`: region weights, attributes and matching from film-report pairs; no boxes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, distributed, nn
from tqdm import tqdm

from attributes.vectors import WordVectors
from data_manifests.atomic import atomic_path, write_json
from data_manifests.errors import CheckpointError, DataError, Problem
from detector.processes import process_group
from detector.provenance import provenance
from detector.roi_store import RoiStore
from detector.training_run import TrainingRun
from localize.config import LocalizerConfig, LocalizeTrainConfig
from localize.model import Localizer, Regions, build_localizer
from localize.objective import Objective, make_objective, validate_localizer
from localize.pairs import Pairs

logger = logging.getLogger(__name__)
WEIGHTS = "localizer.safetensors"
CONFIG = "localizer.json"
STATISTICS_FILMS = 512  # films that give the mean and spread of the region features


@dataclass(frozen=True)
class LocalizerTraining:
    """What a training ends with: its folder, the kept epoch and the value that chose it."""

    folder: Path
    best_epoch: int
    best_value: float


@dataclass
class _Progress:
    step: int = 0
    epoch: int = 0
    best_epoch: int = 0
    best_value: float = float("inf")
    stale_epochs: int = 0


def train_localizer(
    train_store: RoiStore,
    train: Pairs,
    val_store: RoiStore,
    val: Pairs,
    words: WordVectors,
    out: Path,
    *,
    config: LocalizerConfig,
    training: LocalizeTrainConfig,
    device: torch.device,
) -> LocalizerTraining:
    """Train on pairs, keep the epoch that validation prefers (`training.selection`).

    Writes `localizer.safetensors`, `localizer.json`, `metrics.jsonl`, `run.json` and
    `checkpoint.pt` into `out`; a checkpoint that is there is resumed with the same result as an
    uninterrupted run. Under torchrun each process takes its share of every batch.

    Raises:
        DataError: keywords of targets and vectors differ, films in both sets, or `selection` needs
            boxes that validation does not have.
        CheckpointError: the checkpoint is another configuration's, or damaged.
        Interrupted: SIGINT or SIGTERM, after saving.
        FloatingPointError: a loss that is not finite; names its part and the films.
    """
    _check_data(train, val, words, training)
    width = train_store.header.width
    sizes = {
        "feature_width": width,
        "word_width": words.vectors.shape[1],
        "keywords": len(words.keywords),
    }
    resolved: dict[str, Any] = {
        "localizer": config.model_dump(mode="json"),
        "training": training.model_dump(mode="json"),
        "sizes": sizes,
        "detector_sha256": train_store.header.detector_sha256,
    }
    with process_group(device) as place, TrainingRun(out, is_writer=place.rank == 0) as run:
        torch.manual_seed(training.seed)  # the initial weights only
        model = build_localizer(config, **sizes)
        _set_statistics(model, train_store, train)
        model.to(device)
        objective = make_objective(words, train, config, training, device)
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=training.lr, weight_decay=training.weight_decay
        )
        progress = _resume(run, resolved, model, optimizer)
        if run.is_writer and progress.step == 0:
            write_json(out / "run.json", {**resolved, "provenance": provenance()})
        if progress.step == 0:
            # Epoch 0: the untouched model. Anchored, that is the detector's own ranking.
            _judge(run, model, val_store, val, objective, training, progress, resolved, out, device)
        batch_size = min(training.batch_size, len(train))
        bar = tqdm(
            total=training.epochs, initial=progress.epoch, unit="epoch", disable=place.rank != 0
        )
        while progress.epoch < training.epochs and progress.stale_epochs < training.patience:
            order = _epoch_order(len(train), batch_size, training.seed, progress.epoch)
            steps = len(order) // batch_size
            model.train()
            while progress.step < (progress.epoch + 1) * steps:
                first = progress.step % steps * batch_size
                batch = order[first : first + batch_size][place.rank :: place.world_size]
                parts = _step(
                    model,
                    optimizer,
                    objective,
                    train_store,
                    train,
                    batch,
                    progress.step,
                    training,
                    place.world_size,
                    device,
                )
                progress.step += 1
                run.log({"step": progress.step, **parts})
                if run.is_interrupted or progress.step % training.checkpoint_every == 0:
                    _save(run, resolved, model, optimizer, progress)
                    run.raise_if_interrupted()
            progress.epoch += 1
            _judge(run, model, val_store, val, objective, training, progress, resolved, out, device)
            _save(run, resolved, model, optimizer, progress)
            bar.update()
            bar.set_postfix(best=f"{progress.best_value:.4f}", epoch=progress.best_epoch)
            run.raise_if_interrupted()
        bar.close()
    return LocalizerTraining(out, progress.best_epoch, progress.best_value)


def _check_data(
    train: Pairs, val: Pairs, words: WordVectors, training: LocalizeTrainConfig
) -> None:
    problems = []
    shared = set(train.image_ids) & set(val.image_ids)
    if shared:
        problems.append(
            Problem(
                file="images.csv",
                field="split",
                expected="train and val without a common film",
                got=f"{len(shared)} in both",
                fix="run `pneumoloc manifest split`",
            )
        )
    for name, pairs in (("train", train), ("val", val)):
        if pairs.targets.shape[1] != len(words.keywords):
            problems.append(
                Problem(
                    file="word vectors",
                    expected=f"{pairs.targets.shape[1]} keywords, as the {name} targets",
                    got=str(len(words.keywords)),
                    fix="mine and train vectors with the same lexicon",
                )
            )
    if training.selection == "boxes" and not any(
        boxes is not None and len(boxes) for boxes in val.boxes
    ):
        problems.append(
            Problem(
                file="boxes.csv",
                expected="boxes of validation films, since selection is by boxes",
                got="none",
                fix="use --set training.selection=loss",
            )
        )
    if problems:
        raise DataError.from_problems(problems)


def _set_statistics(model: Localizer, store: RoiStore, pairs: Pairs) -> None:
    """Mean and spread of the region features, from evenly spaced training films."""
    rows = pairs.rows[:: max(1, len(pairs) // STATISTICS_FILMS)]
    batch = store.read(rows)
    features = batch.features[batch.mask]
    model.fusion.feature_mean.copy_(torch.from_numpy(features.mean(axis=0)))
    # A channel that is always zero (dead ReLU) carries nothing; its spread must not divide by zero.
    model.fusion.feature_std.copy_(torch.from_numpy(np.maximum(features.std(axis=0), 1e-3)))


def _epoch_order(pairs: int, batch_size: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Pairs of one epoch from (seed, epoch) alone, the last batch filled from the start."""
    order = np.random.default_rng((seed, epoch)).permutation(pairs)
    return np.resize(order, -(-pairs // batch_size) * batch_size)


def _step(
    model: Localizer,
    optimizer: torch.optim.Optimizer,
    objective: Objective,
    store: RoiStore,
    pairs: Pairs,
    batch: NDArray[np.int64],
    step: int,
    training: LocalizeTrainConfig,
    world_size: int,
    device: torch.device,
) -> dict[str, float]:
    """One optimiser step; returns the loss parts."""
    regions = Regions.from_batch(store.read(pairs.rows[batch]), device)
    lowest = Regions.from_batch(store.read(pairs.rows[batch], lowest=True), device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        # Dropout draws from (seed, step): a resumed run draws the same without saved states.
        torch.manual_seed(training.seed * 1_000_003 + step)
        losses = objective.losses(model, regions, lowest, pairs, batch)
    total = objective.total(losses).mean()
    parts = {name: float(value.detach().mean()) for name, value in losses.items()}
    bad = [name for name, value in parts.items() if not np.isfinite(value)]
    if bad:
        films = ", ".join(pairs.image_ids[k] for k in batch)
        raise FloatingPointError(
            f"step {step}: {', '.join(bad)} not finite on films {films}; the checkpoint is kept"
        )
    optimizer.zero_grad(set_to_none=True)
    total.backward()  # type: ignore[no-untyped-call] # torch leaves Tensor.backward untyped
    if world_size > 1:
        for parameter in model.parameters():
            if parameter.grad is not None:
                distributed.all_reduce(parameter.grad)
                parameter.grad /= world_size
    nn.utils.clip_grad_norm_(model.parameters(), training.clip_norm)
    optimizer.step()
    return parts


def _judge(
    run: TrainingRun,
    model: Localizer,
    store: RoiStore,
    val: Pairs,
    objective: Objective,
    training: LocalizeTrainConfig,
    progress: _Progress,
    resolved: dict[str, Any],
    out: Path,
    device: torch.device,
) -> None:
    """Validate, and keep the weights if they are the best so far by more than `min_change`."""
    scores = validate_localizer(model, store, val, objective, device)
    run.log({"epoch": progress.epoch, "step": progress.step, **scores.as_metrics()})
    value = scores.loss if training.selection == "loss" else -(scores.boxes or 0.0)
    better = value < progress.best_value - training.min_change * abs(progress.best_value)
    if better or not np.isfinite(progress.best_value):
        progress.best_value, progress.best_epoch = value, progress.epoch
        progress.stale_epochs = 0
        if run.is_writer:
            tensors: dict[str, Tensor] = {
                name: tensor.contiguous().cpu() for name, tensor in model.state_dict().items()
            }
            with atomic_path(out / WEIGHTS) as temporary:
                save_file(tensors, temporary)
            write_json(
                out / CONFIG,
                {
                    **resolved,
                    "keywords": list(objective.keywords),
                    "validation": {"epoch": progress.epoch, **scores.as_metrics()},
                },
            )
    else:
        progress.stale_epochs += 1


def _save(
    run: TrainingRun,
    resolved: dict[str, Any],
    model: Localizer,
    optimizer: torch.optim.Optimizer,
    progress: _Progress,
) -> None:
    run.save_checkpoint(
        {
            "config": resolved,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "progress": vars(progress).copy(),
        }
    )


def _resume(
    run: TrainingRun,
    resolved: dict[str, Any],
    model: Localizer,
    optimizer: torch.optim.Optimizer,
) -> _Progress:
    state = run.load_checkpoint()
    if state is None:
        return _Progress()
    if state["config"] != resolved:
        changed = [name for name in resolved if state["config"].get(name) != resolved[name]]
        raise CheckpointError(
            f"{run.folder}: the checkpoint was made with other settings ({', '.join(changed)}); "
            "use the same, or another --out"
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return _Progress(**state["progress"])
