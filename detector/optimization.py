"""`training_step`: one optimiser step of the detector, its rates, its averaged weights."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from detector.batch_losses import FilmBatch
from detector.config import DetectorTrainConfig
from detector.dataset import TrainingFilm
from detector.network.torchvision_parts import RetinaNet
from detector.run.device import has_bfloat16


def build_optimizer(model: RetinaNet, training: DetectorTrainConfig) -> torch.optim.AdamW:
    """AdamW with its own rate for the body (`model.backbone.body`, or the whole backbone where it
    has none); norms and biases are not decayed."""
    body_module = getattr(model.backbone, "body", model.backbone)
    body = {id(parameter) for parameter in body_module.parameters()}
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
    return torch.optim.AdamW(groups, fused=True)


def training_memory_format(model: nn.Module, device: torch.device) -> torch.memory_format:
    """Channels last, but not with GroupNorm on the CPU: its backward pass is slower that way."""
    has_group_norm = any(isinstance(module, nn.GroupNorm) for module in model.modules())
    if device.type == "cpu" and has_group_norm:
        return torch.contiguous_format
    return torch.channels_last


def learning_rate(step: int, total_steps: int, warmup_steps: int) -> float:
    """Share of the base rate at a step: linear warm-up, then a cosine to 1 %."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return _cosine((step - warmup_steps) / max(1, total_steps - warmup_steps))


def learning_rate_by_clock(step: int, done: float, warmup_steps: int) -> float:
    """As `learning_rate` where `done` is the share of the time that has passed."""
    return min((step + 1) / max(1, warmup_steps), _cosine(done))


def _cosine(done: float) -> float:
    """From 1 to .01."""
    return 0.01 + 0.99 * 0.5 * (1 + float(np.cos(np.pi * min(1.0, done))))


def training_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    micro_batches: Iterable[list[TrainingFilm] | FilmBatch],
    *,
    films: int,
    rate: float,
    training: DetectorTrainConfig,
    device: torch.device,
) -> dict[str, float]:
    """One step on `films` films that come in micro-batches; gives the loss parts.

    `model` is a RetinaNet for lists of films, `BatchLosses` for `FilmBatch`es.
    `rate` is the share of each group's base rate. Losses are those of this process's films.

    Raises:
        FloatingPointError: a loss or the gradient is not finite; no weight has changed.
    """
    parts: dict[str, float] = {}
    seen: list[str] = []
    for batch in micro_batches:
        share = len(batch) / films
        for name, value in _backward(model, batch, share, device, training).items():
            parts[name] = parts.get(name, 0.0) + value
        seen += _image_ids(batch)
    # In a distributed run the gradient is everybody's, so all processes see a bad one and stop.
    parts["grad_norm"] = float(nn.utils.clip_grad_norm_(model.parameters(), training.clip_norm))
    bad = [name for name, value in parts.items() if not np.isfinite(value)]
    if bad:
        raise FloatingPointError(
            f"{', '.join(bad)} not finite on films {', '.join(seen)}; the last checkpoint is kept: "
            "lower training.lr, or look at these films"
        )
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return parts


def _image_ids(batch: list[TrainingFilm] | FilmBatch) -> list[str]:
    if isinstance(batch, FilmBatch):
        return list(batch.image_ids)
    return [film.image_id for film in batch]


def _backward(
    model: nn.Module,
    batch: list[TrainingFilm] | FilmBatch,
    share: float,
    device: torch.device,
    training: DetectorTrainConfig,
) -> dict[str, float]:
    """Gradients of one micro-batch weighted by its `share` of the step; gives the loss parts."""
    with torch.autocast(device.type, torch.bfloat16, enabled=use_bfloat16(training, device)):
        losses: dict[str, Tensor]
        if isinstance(batch, FilmBatch):
            losses = model(batch)
        else:
            losses = model(
                [film.image.to(device, non_blocking=True) for film in batch],
                [_target(film, device) for film in batch],
            )
    total = torch.stack([loss.float() for loss in losses.values()]).sum() * share
    total.backward()  # type: ignore[no-untyped-call] # torch leaves Tensor.backward untyped
    return {f"loss_{name}": float(loss.detach()) * share for name, loss in losses.items()}


def _target(film: TrainingFilm, device: torch.device) -> dict[str, Tensor]:
    labels = torch.zeros(len(film.boxes), dtype=torch.int64, device=device)
    return {"boxes": film.boxes.to(device), "labels": labels}


def use_bfloat16(training: DetectorTrainConfig, device: torch.device) -> bool:
    """Whether the forward pass runs in bfloat16: by setting, or by `auto` where it is fast."""
    auto = training.precision == "auto" and has_bfloat16(device)
    return auto or training.precision == "bfloat16"


@torch.no_grad()
def average_weights(averaged: RetinaNet, model: RetinaNet, decay: float, step: int) -> None:
    """Move the averaged weights; early steps forget faster so that they do not linger."""
    weight = 1 - min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(averaged.parameters()), list(model.parameters()), weight)
