"""`train_localizer`: region weights, attributes and matching from film-report pairs; no boxes."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, distributed, nn

from attributes.vectors.word_vectors import WordVectors
from data_manifests.support.arrays import Ints
from data_manifests.support.atomic import atomic_path, write_json
from data_manifests.support.errors import CheckpointError, ConfigError
from data_manifests.support.progress_bar import progress_bar
from detector.roi_store import RoiStore
from detector.run.processes import Place, broadcast_numbers, process_group
from detector.run.provenance import provenance
from detector.run.training_run import TrainingRun
from localize.network.config import LocalizerConfig, LocalizeTrainConfig
from localize.network.localizer import Localizer, Regions, build_localizer
from localize.training.inputs import (
    check_pairs,
    pairs_sha256,
    set_film_answer,
    set_places,
    set_statistics,
)
from localize.training.objective import (
    LocalizerScores,
    Objective,
    make_objective,
    validate_localizer,
)
from localize.training.pairs import Pairs

logger = logging.getLogger(__name__)
WEIGHTS = "localizer.safetensors"
CONFIG = "localizer.json"
FILMS_TOGETHER = 16  # of a batch, for their memory; SCAN's batch is 128
FREE_TO_CHANGE = ("checkpoint_every",)  # settings that do not touch the result


@dataclass(frozen=True)
class LocalizerTraining:
    """What a training ends with: its folder, the kept epoch and the value that chose it, and how
    many films it had."""

    folder: Path
    best_epoch: int
    best_value: float
    train_films: int
    val_films: int


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
        DataError: keywords of targets and vectors differ, films or patients in both sets, or
            `selection` needs boxes that validation does not have.
        ConfigError: a batch that the processes cannot share.
        CheckpointError: the checkpoint is another configuration's, or damaged.
        Interrupted: SIGINT or SIGTERM, after saving.
        FloatingPointError: features, a loss or a gradient that is not finite; names the films.
    """
    check_pairs(train, val, words, training)
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
        "data": {
            "train_sha256": pairs_sha256(train),
            "val_sha256": pairs_sha256(val),
            "words_sha256": hashlib.sha256(
                words.vectors.tobytes() + words.negatives.tobytes()
            ).hexdigest(),
        },
    }
    with process_group(device) as place, TrainingRun(out, is_writer=place.rank == 0) as run:
        batch_size = min(training.batch_size, len(train))
        if batch_size % place.world_size:
            raise ConfigError(
                f"training.batch_size: expected a multiple of the {place.world_size} processes, "
                f"got {batch_size}"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training.seed)
            model = build_localizer(config, **sizes)
        set_statistics(model, train_store, train)
        set_places(model, words)
        if training.bce_weight > 0:  # without the attribute loss no attribute is learned
            set_film_answer(model, train_store, train)
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
            scores = _validate(place, model, val_store, val, objective, device)
            _judge(run, scores, model, objective, training, progress, resolved)
        bar = progress_bar(
            total=training.epochs,
            initial=progress.epoch,
            desc="localizer",
            unit="epoch",
            disable=place.rank != 0,
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
            scores = _validate(place, model, val_store, val, objective, device)
            _judge(run, scores, model, objective, training, progress, resolved)
            _save(run, resolved, model, optimizer, progress)
            bar.set_postfix(
                best=f"{progress.best_value:.4f}", epoch=progress.best_epoch, refresh=False
            )
            bar.update()
            run.raise_if_interrupted()
        bar.close()
    return LocalizerTraining(out, progress.best_epoch, progress.best_value, len(train), len(val))


def _epoch_order(pairs: int, batch_size: int, seed: int, epoch: int) -> Ints:
    """Pairs of one epoch from (seed, epoch) alone, the last batch filled from the start."""
    order = np.random.default_rng((seed, epoch)).permutation(pairs)
    return np.resize(order, -(-pairs // batch_size) * batch_size)


def _step(
    model: Localizer,
    optimizer: torch.optim.Optimizer,
    objective: Objective,
    store: RoiStore,
    pairs: Pairs,
    batch: Ints,
    step: int,
    training: LocalizeTrainConfig,
    world_size: int,
    device: torch.device,
) -> dict[str, float]:
    """One optimiser step; returns the loss parts."""
    optimizer.zero_grad(set_to_none=True)
    each: list[Tensor] = []
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        # Dropout draws from (seed, step): a resumed run draws the same without saved states.
        torch.manual_seed(training.seed * 1_000_003 + step)
        for films in _films_together(batch, training):
            regions = Regions.from_batch(store.read(pairs.rows[films]), device)
            lowest = Regions.from_batch(store.read(pairs.rows[films], lowest=True), device)
            losses = objective.losses(model, regions, lowest, pairs, films)
            total = objective.total(losses).sum() / len(batch)
            total.backward()  # type: ignore[no-untyped-call] # torch leaves Tensor.backward untyped
            each.append(torch.stack(list(losses.values())).detach())  # (parts, films)
    values = torch.cat(each, dim=1)
    means = values.mean(dim=1)
    if world_size > 1:  # all processes log, and stop for, the same numbers
        distributed.all_reduce(means)
        means /= world_size
    parts = dict(zip(losses, means.tolist(), strict=True))
    bad = [name for name, value in parts.items() if not np.isfinite(value)]
    if bad:
        is_bad = ~torch.isfinite(values).all(dim=0).cpu().numpy()
        named = ", ".join(pairs.image_ids[k] for k in batch[is_bad]) or "of another process"
        raise FloatingPointError(
            f"step {step}: {', '.join(bad)} not finite on films {named}; the checkpoint is kept"
        )
    if world_size > 1:
        for parameter in model.parameters():
            if parameter.grad is not None:
                distributed.all_reduce(parameter.grad)
                parameter.grad /= world_size
    norm = nn.utils.clip_grad_norm_(model.parameters(), training.clip_norm)
    if not torch.isfinite(norm):
        named = ", ".join(pairs.image_ids[k] for k in batch)
        raise FloatingPointError(
            f"step {step}: gradient not finite on films {named}; the checkpoint is kept"
        )
    optimizer.step()
    return parts


def _films_together(batch: Ints, training: LocalizeTrainConfig) -> list[Ints]:
    """Films of a batch in parts, for their memory; whole where films are each other's negatives."""
    if training.negatives == "batch":
        return [batch]
    return np.array_split(batch, -(-len(batch) // FILMS_TOGETHER))


def _validate(
    place: Place,
    model: Localizer,
    store: RoiStore,
    val: Pairs,
    objective: Objective,
    device: torch.device,
) -> LocalizerScores:
    """Scores by the first process, told to the others: all decide alike."""
    numbers: list[float | None] | None = None
    if place.rank == 0:
        scores = validate_localizer(model, store, val, objective, device)
        numbers = [scores.loss, scores.match, scores.boxes]
    told = broadcast_numbers(numbers, 3, place, device)
    if told is None or told[0] is None:
        raise FloatingPointError("validation failed in the first process; see its message")
    return LocalizerScores(loss=told[0], match=told[1], boxes=told[2])


def _judge(
    run: TrainingRun,
    scores: LocalizerScores,
    model: Localizer,
    objective: Objective,
    training: LocalizeTrainConfig,
    progress: _Progress,
    resolved: dict[str, Any],
) -> None:
    """Log an epoch, and keep its weights if they are the best so far by more than `min_change`."""
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
            with atomic_path(run.folder / WEIGHTS) as temporary:
                save_file(tensors, temporary)
            write_json(
                run.folder / CONFIG,
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
    try:
        # A run from before a setting was there may go on as it began.
        stored = LocalizerConfig.stored(state["config"]["localizer"]).model_dump(mode="json")
        state["config"]["localizer"] = stored
        changed = [
            f"{part}.{name}: {state['config'][part].get(name)!r} then, {value!r} now"
            for part, settings in resolved.items()
            if isinstance(settings, dict)
            for name, value in settings.items()
            if state["config"][part].get(name) != value and name not in FREE_TO_CHANGE
        ]
        if state["config"]["detector_sha256"] != resolved["detector_sha256"]:
            changed.append("the detector whose regions are in the store")
        if changed:
            raise CheckpointError(
                f"{run.folder}: the checkpoint was made with other settings ({'; '.join(changed)});"
                " use the same, or another --out"
            )
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        return _Progress(**state["progress"])
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointError(
            f"{run.folder}: the checkpoint is not one of a localizer's training ({error}); "
            "choose another --out"
        ) from error
