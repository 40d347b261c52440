"""`train_detector`: RetinaNet on the boxes of a manifest, resumable to the bit."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from torchvision.models.detection import RetinaNet
from tqdm import tqdm

from data_manifests.atomic import atomic_path, write_json
from data_manifests.errors import CheckpointError, DataError, Problem
from data_manifests.manifest import Manifest
from detector.backbones import load_backbone_weights
from detector.config import DetectorConfig, DetectorTrainConfig
from detector.dataset import (
    FilmDataset,
    MicroBatches,
    TrainingFilm,
    as_list,
    draw_weights,
    epoch_order,
)
from detector.model import build_detector
from detector.provenance import provenance
from detector.training_run import TrainingRun
from detector.validate import ValidationScores, validate_detector

logger = logging.getLogger(__name__)
WEIGHTS = "detector.safetensors"
CONFIG = "detector.json"


@dataclass(frozen=True)
class DetectorTraining:
    """What a training ends with: the folder of the best weights and their validation scores."""

    folder: Path
    best_epoch: int
    scores: ValidationScores


def train_detector(
    train: Manifest,
    val: Manifest,
    out: Path,
    *,
    config: DetectorConfig,
    training: DetectorTrainConfig,
    backbone_weights: Path | None = None,
    device: torch.device,
) -> DetectorTraining:
    """Train on the boxes of `train`, keep the weights with the best average precision on `val`.

    Writes `detector.safetensors`, `detector.json`, `metrics.jsonl`, `run.json` and `checkpoint.pt`
    into `out`; a checkpoint that is there is resumed, with the same result as an uninterrupted run.
    Under torchrun each process takes its share of every batch.

    Raises:
        DataError: no boxes to learn from, or a patient in both manifests.
        CheckpointError: the checkpoint is another configuration's, or damaged.
        Interrupted: SIGINT or SIGTERM, after saving.
        FloatingPointError: a loss that is not finite; names its part and the films.
    """
    _check_data(train, val)
    config = config.model_copy(update={"is_pretrained": backbone_weights is not None})
    with _process_group(device) as (rank, world_size), TrainingRun(out, is_writer=rank == 0) as run:
        torch.manual_seed(training.seed)  # the initial weights only; nothing else draws globally
        model = build_detector(config)
        if backbone_weights is not None:
            load_backbone_weights(model.backbone, backbone_weights)
        model.to(device, memory_format=torch.channels_last)
        averaged = build_detector(config).to(device, memory_format=torch.channels_last)
        averaged.load_state_dict(model.state_dict())
        optimizer = _optimizer(model, training)
        resolved = {"detector": config.model_dump(mode="json"), "training": training.model_dump()}
        progress = _resume(run, resolved, model, averaged, optimizer)
        if run.is_writer and progress.step == 0:
            write_json(out / "run.json", {**resolved, "provenance": provenance()})
        parallel: nn.Module = model
        if world_size > 1:
            parallel = DistributedDataParallel(model)

        films = FilmDataset(
            train, image_size=config.image_size, seed=training.seed if training.augment else None
        )
        weights = draw_weights(train, training)
        steps_per_epoch = len(epoch_order(len(films), weights, training, 0)) // training.batch_size
        total_steps = steps_per_epoch * training.epochs
        for epoch in range(progress.step // steps_per_epoch, training.epochs):
            if epoch - progress.best_epoch > training.patience:
                break
            batches = MicroBatches(
                epoch_order(len(films), weights, training, epoch),
                epoch=epoch,
                first_step=progress.step % steps_per_epoch,
                batch_size=training.batch_size,
                micro_batch=training.micro_batch or training.batch_size,
                rank=rank,
                world_size=world_size,
            )
            loader: DataLoader[Any] = DataLoader(
                films,
                batch_sampler=batches,
                num_workers=training.workers,
                collate_fn=as_list,
                # Its own generator: a loader otherwise draws its seed from the global one.
                generator=torch.Generator().manual_seed(epoch),
                multiprocessing_context="spawn" if training.workers else None,
            )
            own_share = -(-training.batch_size // world_size)
            micro = min(training.micro_batch or own_share, own_share)
            micro_batches_per_step = -(-own_share // micro)
            bar = tqdm(
                total=steps_per_epoch,
                initial=progress.step % steps_per_epoch,
                desc=f"epoch {epoch + 1}/{training.epochs}",
                unit="step",
                disable=rank != 0,
            )
            parallel.train()
            parts: dict[str, float] = {}
            films_seen: list[str] = []
            for number, batch in enumerate(loader):
                share = len(batch) * world_size / training.batch_size
                for name, value in _backward(parallel, batch, share, device, training).items():
                    parts[name] = parts.get(name, 0.0) + value
                films_seen += [film.image_id for film in batch]
                if (number + 1) % micro_batches_per_step:
                    continue
                _stop_if_not_finite(parts, films_seen, progress.step)
                rate = _learning_rate(progress.step, total_steps, training.warmup_steps)
                for group in optimizer.param_groups:
                    group["lr"] = group["base_lr"] * rate
                norm = nn.utils.clip_grad_norm_(model.parameters(), training.clip_norm)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                _average(averaged, model, training.ema_decay, progress.step)
                progress.step += 1
                run.log({"step": progress.step, **parts, "grad_norm": float(norm), "lr_rate": rate})
                bar.update()
                bar.set_postfix({name: f"{value:.3f}" for name, value in parts.items()})
                parts, films_seen = {}, []
                if run.is_interrupted or progress.step % training.checkpoint_every == 0:
                    _save(run, resolved, model, averaged, optimizer, progress)
                    run.raise_if_interrupted()
            bar.close()
            scores = validate_detector(averaged, val, config.image_size, device)
            run.log({"epoch": epoch + 1, "step": progress.step, **scores.as_metrics()})
            logger.info("epoch %d: %s", epoch + 1, scores)
            if scores.selection > progress.best.selection:
                progress.best, progress.best_epoch = scores, epoch
                if run.is_writer:
                    _write_weights(averaged, config, scores, out)
            _save(run, resolved, model, averaged, optimizer, progress)
            run.raise_if_interrupted()
        return DetectorTraining(out, progress.best_epoch + 1, progress.best)


@dataclass
class _Progress:
    """How far the training is."""

    step: int
    best_epoch: int
    best: ValidationScores


def _check_data(train: Manifest, val: Manifest) -> None:
    problems = [
        Problem(
            file=f"{name} boxes",
            expected="at least one box",
            got="none",
            fix="the detector learns from boxes; check the manifest's splits",
        )
        for name, part in (("train", train), ("val", val))
        if part.boxes.empty
    ]
    shared = sorted(set(train.images["patient_id"]) & set(val.images["patient_id"]))
    if shared:
        problems.append(
            Problem(
                file="images.csv",
                field="split",
                expected="train and val without a common patient",
                got=f"{len(shared)} patients in both",
                fix="run `pneumoloc manifest split`",
            )
        )
    if problems:
        raise DataError.from_problems(problems)


@contextmanager
def _process_group(device: torch.device) -> Iterator[tuple[int, int]]:
    """(rank, world size): from torchrun's environment, or (0, 1)."""
    if "WORLD_SIZE" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
        yield 0, 1
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield distributed.get_rank(), distributed.get_world_size()
    finally:
        distributed.destroy_process_group()


def _optimizer(model: RetinaNet, training: DetectorTrainConfig) -> torch.optim.AdamW:
    """AdamW with the body's own rate; norms and biases are not decayed."""
    body = {id(parameter) for parameter in model.backbone.body.parameters()}
    groups = []
    for is_body, lr in ((True, training.lr_backbone), (False, training.lr)):
        for is_matrix, decay in ((True, training.weight_decay), (False, 0.0)):
            chosen = [
                parameter
                for parameter in model.parameters()
                if parameter.requires_grad
                and (id(parameter) in body) == is_body
                and (parameter.ndim > 1) == is_matrix
            ]
            groups.append({"params": chosen, "base_lr": lr, "lr": lr, "weight_decay": decay})
    return torch.optim.AdamW(groups)


def _learning_rate(step: int, total_steps: int, warmup_steps: int) -> float:
    """Share of the base rate at a step: linear warm-up, then a cosine to 1 %."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.01 + 0.99 * 0.5 * (1 + float(np.cos(np.pi * min(1.0, done))))


def _backward(
    model: nn.Module,
    batch: list[TrainingFilm],
    share: float,
    device: torch.device,
    training: DetectorTrainConfig,
) -> dict[str, float]:
    """Gradients of one micro-batch weighted by its `share` of the batch; gives the loss parts."""
    images = [film.image.to(device, non_blocking=True) for film in batch]
    targets = [
        {
            "boxes": film.boxes.to(device),
            "labels": torch.zeros(len(film.boxes), dtype=torch.int64, device=device),
        }
        for film in batch
    ]
    with torch.autocast(device.type, torch.bfloat16, enabled=use_bfloat16(training, device)):
        losses: dict[str, Tensor] = model(images, targets)
    total = torch.stack([loss.float() for loss in losses.values()]).sum() * share
    total.backward()  # type: ignore[no-untyped-call] # torch leaves Tensor.backward untyped
    return {f"loss_{name}": float(loss.detach()) * share for name, loss in losses.items()}


def use_bfloat16(training: DetectorTrainConfig, device: torch.device) -> bool:
    """Whether the forward pass runs in bfloat16: asked for, or `auto` on a GPU."""
    auto = training.precision == "auto" and device.type == "cuda"
    return auto or training.precision == "bfloat16"


def _stop_if_not_finite(parts: dict[str, float], films: list[str], step: int) -> None:
    bad = [name for name, value in parts.items() if not np.isfinite(value)]
    if bad:
        raise FloatingPointError(
            f"step {step}: {', '.join(bad)} not finite on films {', '.join(films)}; the last "
            "checkpoint is kept: lower lr, or look at these films"
        )


@torch.no_grad()
def _average(averaged: RetinaNet, model: RetinaNet, decay: float, step: int) -> None:
    """Move the averaged weights; early steps forget faster so that they do not linger."""
    weight = 1 - min(decay, (1 + step) / (10 + step))
    for mean, value in zip(averaged.parameters(), model.parameters(), strict=True):
        mean.lerp_(value, weight)


def _save(
    run: TrainingRun,
    resolved: dict[str, Any],
    model: RetinaNet,
    averaged: RetinaNet,
    optimizer: torch.optim.Optimizer,
    progress: _Progress,
) -> None:
    run.save_checkpoint(
        {
            "config": resolved,
            "model": model.state_dict(),
            "averaged": averaged.state_dict(),
            "optimizer": optimizer.state_dict(),
            "step": progress.step,
            "best_epoch": progress.best_epoch,
            "best": progress.best.as_metrics(),
        }
    )


def _resume(
    run: TrainingRun,
    resolved: dict[str, Any],
    model: RetinaNet,
    averaged: RetinaNet,
    optimizer: torch.optim.Optimizer,
) -> _Progress:
    """Load the checkpoint if there is one."""
    state = run.load_checkpoint()
    if state is None:
        return _Progress(step=0, best_epoch=0, best=ValidationScores(None, None, -1.0))
    changed = [
        f"{part}.{key}: {state['config'][part].get(key)!r} then, {value!r} now"
        for part, settings in resolved.items()
        for key, value in settings.items()
        if state["config"][part].get(key) != value and key != "workers"
    ]
    if changed:
        raise CheckpointError(
            f"{run.folder}: the checkpoint was made with other settings ({'; '.join(changed)}); "
            "use the same, or another --out"
        )
    model.load_state_dict(state["model"])
    averaged.load_state_dict(state["averaged"])
    optimizer.load_state_dict(state["optimizer"])
    best = ValidationScores(**state["best"])
    return _Progress(step=state["step"], best_epoch=state["best_epoch"], best=best)


def _write_weights(
    model: RetinaNet, config: DetectorConfig, scores: ValidationScores, out: Path
) -> None:
    tensors = {name: value.contiguous().cpu() for name, value in model.state_dict().items()}
    with atomic_path(out / WEIGHTS) as temporary:
        save_file(tensors, temporary)
    write_json(out / CONFIG, {**config.model_dump(mode="json"), "validation": scores.as_metrics()})
