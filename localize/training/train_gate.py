"""`train_gate`: a gate that learns from pseudo-boxes of reports where to look on a film alone.

The report is the teacher (`localize.adaptation`): its words and the film's ROIs give boxes. The
gate, which sees no text, learns them by the matching loss: the binary cross-entropy of each ROI's
gate against whether the ROI lies on one of these boxes. Films whose report denies an opacity teach
zeros, films without a label are left out. The paper's triplet and attribute losses may be added,
with the gates as alpha.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from data_manifests.support.arrays import Bools, Floats32, Ints
from data_manifests.support.progress_bar import progress_bar
from detector.config import Fraction, Frozen
from detector.film_maps import NO_REGION, FilmMaps
from detector.optimization import learning_rate
from localize.network.gate import AUTOCAST, Gate, GateMaps
from localize.network.localizer import Localizer, Regions
from localize.training.objective import Objective
from localize.training.pair_batch import PairBatch

WARMUP_STEPS = 20
STANDARDIZED_ON = 256  # films that give the mean and spread of the features


class GateTraining(Frozen):
    """How a gate is trained."""

    seed: int = Field(0, ge=0)
    epochs: float = Field(4.0, gt=0)
    min_steps: int = Field(1, ge=1, description="more epochs than `epochs` where films are few")
    max_steps: int | None = Field(None, ge=1, description="fewer where there are many")
    batch_size: int = Field(32, ge=1)
    lr: float = Field(3e-4, gt=0, description="AdamW, cosine to zero")
    weight_decay: float = Field(1e-4, ge=0)
    ema_decay: Fraction = Field(0.99, description="averaged weights are kept")
    clip_norm: float = Field(5.0, gt=0)
    triplet_weight: float = Field(0.0, ge=0)
    bce_weight: float = Field(0.0, ge=0)

    def steps(self, films: int) -> int:
        """Number of steps on so many films."""
        steps = max(self.min_steps, round(self.epochs * films / self.batch_size))
        return steps if self.max_steps is None else min(steps, self.max_steps)


@dataclass(frozen=True)
class GateTargets:
    """What a teacher says of the candidates of P films: `rows` (P,) of the film maps, `values`
    (P, C) in [0, 1] and `weights` (P, C), 0 where a candidate is not used."""

    rows: Ints
    values: Floats32
    weights: Floats32

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class GatePairs:
    """The words of all F films of the maps, for the triplet and attribute losses: `targets`, `mask`
    (F, K) float32 and `words` (F, K) bool, as in `PairBatch`."""

    targets: Floats32
    mask: Floats32
    words: Bools


@dataclass(frozen=True)
class PrintedLosses:
    """The paper's losses on a localizer whose alpha are the gates."""

    localizer: Localizer
    objective: Objective
    pairs: GatePairs


def train_gate(
    start: Gate,
    films: FilmMaps,
    targets: GateTargets,
    training: GateTraining,
    device: torch.device,
    printed: PrintedLosses | None = None,
) -> Gate:
    """A trained copy of `start`; the localizer of `printed` is trained in place.

    Raises:
        FloatingPointError: a loss that is not finite.
    """
    gate = copy.deepcopy(start).to(device)
    averaged = copy.deepcopy(gate)
    modules: list[nn.Module] = [gate]
    if printed is not None:
        printed.localizer.to(device).train()
        _standardize(printed.localizer, gate, films, targets.rows[:STANDARDIZED_ON], device)
        modules.append(printed.localizer)
    parameters = [one for module in modules for one in module.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=training.lr, weight_decay=training.weight_decay)
    steps = training.steps(len(targets))
    batches = _batches(len(targets), steps, training)
    with progress_bar(batches, desc="gate", unit="step") as bar:
        for step, batch in enumerate(bar):
            rows = targets.rows[batch]
            maps = gate_maps(gate, films, rows, device)
            anchors = _anchors(films.anchors, rows, device)
            values, weights = (
                torch.from_numpy(part[batch]).to(device)
                for part in (targets.values, targets.weights)
            )
            loss = matching_loss(maps.at(anchors), values, weights)
            if printed is not None:
                loss = loss + _printed_loss(printed, maps, films, rows, device)
            if not torch.isfinite(loss):
                raise FloatingPointError(f"gate, step {step}: loss not finite; lower lr")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
            nn.utils.clip_grad_norm_(parameters, training.clip_norm)
            for group in optimizer.param_groups:
                group["lr"] = training.lr * learning_rate(step, steps, WARMUP_STEPS)
            optimizer.step()
            _average(averaged, gate, training.ema_decay, step)
    if printed is not None:
        printed.localizer.eval()
    return averaged


def matching_loss(logits: Tensor, values: Tensor, weights: Tensor) -> Tensor:
    """Mean binary cross-entropy of gates (B, C) against a teacher's `values`, by `weights`."""
    each = functional.binary_cross_entropy_with_logits(logits, values, reduction="none")
    return (each * weights).sum() / weights.sum().clamp(min=1)


def gate_maps(gate: Gate, films: FilmMaps, rows: Ints, device: torch.device) -> GateMaps:
    """The gate on films `rows`, its convolutions in bfloat16."""
    pyramid = films.pyramid(rows, device)
    with torch.autocast(device.type, AUTOCAST):
        found: GateMaps = gate([level.to(AUTOCAST) for level in pyramid])
    return found


@torch.no_grad()
def gate_logits(
    gate: Gate, films: FilmMaps, rows: Ints, device: torch.device, batch_size: int = 128
) -> Floats32:
    """Gates of the candidates of films `rows` (P,), as logits (P, C); `NO_REGION` stays."""
    found = np.full((len(rows), films.anchors.shape[1]), NO_REGION, np.float32)
    for first in range(0, len(rows), batch_size):
        some = rows[first : first + batch_size]
        maps = gate_maps(gate, films, some, device)
        logits = maps.at(_anchors(films.anchors, some, device)).cpu().numpy()
        found[first : first + batch_size] = np.where(
            films.logits[some] > NO_REGION, logits, NO_REGION
        )
    return found


def _batches(count: int, steps: int, training: GateTraining) -> list[Ints]:
    """Positions of each step's films: permutation after permutation."""
    wanted = steps * training.batch_size
    orders = [
        np.random.default_rng((training.seed, epoch)).permutation(count)
        for epoch in range(-(-wanted // max(1, count)))
    ]
    order = np.concatenate(orders)[:wanted]
    return list(order.reshape(steps, training.batch_size))


def _anchors(anchors: NDArray[np.int32], rows: Ints, device: torch.device) -> Tensor:
    return torch.from_numpy(anchors[rows].astype(np.int64)).to(device)


@torch.no_grad()
def _average(averaged: Gate, gate: Gate, decay: float, step: int) -> None:
    weight = 1 - min(decay, (step + 1) / (step + 10))
    for ours, new in zip(averaged.parameters(), gate.parameters(), strict=True):
        ours.lerp_(new, weight)


def gate_regions(maps: GateMaps, films: FilmMaps, rows: Ints, device: torch.device) -> Regions:
    """The candidates of films `rows` as regions, with the features of the gate's tower."""
    anchors = _anchors(films.anchors, rows, device)
    logits = torch.from_numpy(films.logits[rows]).to(device)
    return Regions(
        features=maps.features(anchors),
        geometry=corners_over_size(films.boxes[rows], films.sizes[rows], device),
        scores=logits.sigmoid(),
        mask=logits > NO_REGION,
        gate_logits=maps.at(anchors),
    )


def _printed_loss(
    printed: PrintedLosses, maps: GateMaps, films: FilmMaps, rows: Ints, device: torch.device
) -> Tensor:
    low = _anchors(films.lowest_anchors, rows, device)
    low_logits = maps.at(low)
    pairs = printed.pairs
    batch = PairBatch(
        image_ids=tuple(films.image_ids[row] for row in rows),
        regions=gate_regions(maps, films, rows, device),
        lowest=Regions(
            features=maps.features(low),
            geometry=corners_over_size(films.lowest_boxes[rows], films.sizes[rows], device),
            scores=low_logits.detach().sigmoid(),
            mask=torch.ones_like(low, dtype=torch.bool),
            gate_logits=low_logits,
        ),
        targets=torch.from_numpy(pairs.targets[rows]).to(device),
        target_mask=torch.from_numpy(pairs.mask[rows]).to(device),
        words=torch.from_numpy(pairs.words[rows]).to(device),
    )
    total = printed.objective.total(printed.objective.parts(printed.localizer, batch))
    return total.mean()


def corners_over_size(boxes: Floats32, sizes: Floats32, device: torch.device) -> Tensor:
    """The paper's g: corners of boxes (B, R, 4) over the sizes (B, 2) of their films."""
    return torch.from_numpy(boxes / np.tile(sizes, 2)[:, None, :]).to(device)


@torch.no_grad()
def _standardize(
    localizer: Localizer, gate: Gate, films: FilmMaps, rows: Ints, device: torch.device
) -> None:
    maps = gate_maps(gate, films, rows, device)
    features = maps.features(_anchors(films.anchors, rows, device)).flatten(0, 1)
    localizer.fusion.feature_mean.copy_(features.mean(dim=0))
    localizer.fusion.feature_std.copy_(features.std(dim=0).clamp(min=1e-3))
