"""`train_grounding` and `predict_logits`: one grounding network on examples in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from data_manifests.support.arrays import Floats32, Ints
from data_manifests.support.errors import ConfigError
from localize.grounding.network.examples import GroundingExamples, target_map
from localize.grounding.network.grounding_network import (
    STRIDE,
    GroundingNetwork,
    grounding_loss,
)

MAX_SHIFT_CELLS = 2


@dataclass(frozen=True)
class GroundingTraining:
    """How a grounding network is trained.

    Args:
        has_anatomy, has_structure: the two aids of the paper.
        epochs: passes over the films.
        batch_films: films in a step.
        lr: highest learning rate; a cosine after a short warm-up.
        seed: of weights, order and shifts.
        width, dim: of the network.

    Raises:
        ConfigError: a number out of range.
    """

    has_anatomy: bool
    has_structure: bool
    epochs: int = 16
    batch_films: int = 16
    lr: float = 5e-3
    seed: int = 0
    width: int = 12
    dim: int = 32

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_films", "width", "dim"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not self.lr > 0:
            raise ConfigError(f"lr: expected more than 0, got {self.lr}")


def train_grounding(
    examples: GroundingExamples, training: GroundingTraining, device: torch.device
) -> GroundingNetwork:
    """Train on all films; the same seed gives the same network on one machine.

    Films, lungs and maps are shifted together by up to two cells.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    generator = np.random.default_rng(training.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        network = GroundingNetwork(
            examples.tokens[0].vectors.shape[1],
            has_anatomy=training.has_anatomy,
            has_structure=training.has_structure,
            width=training.width,
            dim=training.dim,
        )
    # Channels last: half the time on a CPU.
    network = network.to(device).to(memory_format=torch.channels_last)
    height, width = examples.films.shape[1:]
    targets = torch.from_numpy(np.stack([target_map(one, height, width) for one in examples.boxes]))
    steps = training.epochs * math.ceil(len(examples.films) / training.batch_films)
    optimizer = torch.optim.AdamW(network.parameters(), lr=training.lr, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, training.lr, total_steps=steps + 1, pct_start=0.1
    )
    network.train()
    for _ in range(training.epochs):
        for rows in _batches(generator.permutation(len(examples.films)), training.batch_films):
            chosen = examples.queries_of(rows)
            if not len(chosen):
                schedule.step()
                continue
            cells = generator.integers(-MAX_SHIFT_CELLS, MAX_SHIFT_CELLS + 1, 2).tolist()
            films = examples.inputs(rows, has_anatomy=training.has_anatomy)
            films = torch.roll(films, [STRIDE * cell for cell in cells], (2, 3))
            films = films.to(device, memory_format=torch.channels_last)
            target = torch.roll(targets[chosen], cells, (1, 2)).to(device)
            loss = grounding_loss(network(films, examples.batch(rows).to(device)), target)
            if not torch.isfinite(loss):
                raise FloatingPointError(f"grounding: expected a finite loss, got {float(loss)}")
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    network.eval()
    return network


@torch.inference_mode()
def predict_logits(
    network: GroundingNetwork,
    examples: GroundingExamples,
    *,
    has_anatomy: bool,
    device: torch.device,
    batch_films: int = 32,
) -> Floats32:
    """The logits of each finding's map, (Q, H / 4, W / 4) float32."""
    found: list[Tensor] = []
    for rows in _batches(np.arange(len(examples.films)), batch_films):
        if not len(examples.queries_of(rows)):
            continue
        films = examples.inputs(rows, has_anatomy=has_anatomy).to(device)
        found.append(network(films, examples.batch(rows).to(device)).float().cpu())
    height, width = (side // STRIDE for side in examples.films.shape[1:])
    logits: Floats32 = (
        torch.cat(found).numpy() if found else np.zeros((0, height, width), np.float32)
    )
    return logits


def maps_of_logits(logits: Floats32) -> Floats32:
    """Maps (Q, h, w) in film pixels, (Q, 4 h, 4 w) float32 in [0, 1]: bilinear, then sigmoid."""
    large = nn.functional.interpolate(
        torch.from_numpy(logits.astype(np.float32))[:, None],
        scale_factor=STRIDE,
        mode="bilinear",
        align_corners=False,
    )
    maps: Floats32 = large[:, 0].sigmoid().numpy()
    return maps


def _batches(order: Ints, size: int) -> Iterator[Ints]:
    for first in range(0, len(order), size):
        yield np.sort(order[first : first + size])
