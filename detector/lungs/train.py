"""`train_lungs`: the lung network on masked films; a killed training resumes to the same bits."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from data_manifests.support.arrays import Bools, Bytes, Floats
from data_manifests.support.progress_bar import progress_bar
from detector.lungs.augment import changed_film, draw_change, picture_without_lungs
from detector.lungs.config import LungNetworkConfig, LungTrainConfig
from detector.lungs.losses import lung_loss
from detector.lungs.maps import lung_maps, normalised
from detector.lungs.masked_films import UNKNOWN, MaskedFilms
from detector.lungs.network import MAPS, build_lung_network
from detector.optimization import average_weights, learning_rate
from detector.run.device import has_bfloat16
from detector.run.run_state import RunState
from detector.run.training_run import TrainingRun

FILE = "lungs"  # .safetensors, .json


@dataclass(frozen=True)
class LungScores:
    """Mean Dice of each map over the validation films on which it is known; None for none."""

    dice_right: float | None
    dice_left: float | None
    dice_heart: float | None

    def as_metrics(self) -> dict[str, float | int | None]:
        """Names and values, for `metrics.jsonl`."""
        return {
            "dice_right": self.dice_right,
            "dice_left": self.dice_left,
            "dice_heart": self.dice_heart,
        }

    @property
    def mean(self) -> float:
        """Mean of the maps that were measured."""
        known = [value for value in self.as_metrics().values() if value is not None]
        return float(np.mean(known))


def train_lungs(
    train: MaskedFilms,
    val: MaskedFilms,
    out: Path,
    *,
    config: LungNetworkConfig,
    training: LungTrainConfig,
    device: torch.device,
) -> LungScores:
    """Train; store the averaged weights with the best mean Dice in validation, and its scores.

    Writes `lungs.safetensors`, `lungs.json`, `metrics.jsonl`, `run.json` and `checkpoint.pt` into
    `out`. If there is a checkpoint the training resumes from it, with the same result as an
    uninterrupted run on the CPU with as many threads.

    Raises:
        ConfigError: a checkpoint of other settings or films.
        CheckpointError: a checkpoint that is damaged or another training's.
        Interrupted: SIGINT or SIGTERM, after saving.
        FloatingPointError: a loss that is not finite.
    """
    settings: Mapping[str, Any] = {  # Any: what JSON can hold
        "network": config.model_dump(mode="json"),
        "training": training.model_dump(mode="json"),
        "data": {"train_sha256": train.sha256(), "val_sha256": val.sha256()},
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)  # the initial weights
        network = build_lung_network(config).to(device)
    averaged = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=training.lr, weight_decay=training.weight_decay
    )
    with TrainingRun(out) as run:
        state = RunState(run, settings, {"network": network, "averaged": averaged}, optimizer)
        state.resume()
        progress = state.progress
        bar = progress_bar(total=training.steps, initial=progress.step, desc="lungs", unit="step")
        while progress.step < training.steps:
            films, masks = _batch(train, progress.step, config.image_size, training)
            rate = learning_rate(progress.step, training.steps, training.warmup_steps)
            for group in optimizer.param_groups:
                group["lr"] = training.lr * rate
            loss = _step(network, optimizer, films.to(device), masks.to(device), training)
            average_weights(averaged, network, training.ema_decay, progress.step)
            is_last = progress.step + 1 == training.steps
            if is_last or (progress.step + 1) % training.validate_every == 0:
                progress.epoch += 1
                scores = score_maps(averaged, val, config.image_size, device)
                state.select(
                    scores,
                    -scores.mean,
                    "averaged",
                    file=FILE,
                    description={**settings["network"], "validation": scores.as_metrics()},
                )
            state.finish_step(
                {"loss": loss, "lr_rate": rate},
                checkpoint_every=1 if is_last else training.validate_every,
            )
            bar.set_postfix({"loss": f"{loss:.3f}"}, refresh=False)
            bar.update()
        bar.close()
        return LungScores(**progress.best_scores)


def score_maps(
    network: nn.Module, films: MaskedFilms, image_size: int, device: torch.device
) -> LungScores:
    """Mean Dice of the maps, cut at one half, over the films of which each is known."""
    found: list[Floats] = []
    for pixels, masks in zip(films.pixels, films.masks, strict=True):
        film = pixels.astype(np.float32) / np.float32(255)
        maps = lung_maps(network, [film], image_size, device)[0]
        full = [cv2.resize(one, pixels.shape[::-1]) for one in maps]
        found.append(np.array([_dice(full[k] > 0.5, masks[k]) for k in range(MAPS)]))
    table = np.array(found)
    means = [float(np.nanmean(column)) if np.isfinite(column).any() else None for column in table.T]
    return LungScores(*means)


def _dice(found: Bools, mask: Bytes) -> float:
    """Dice over the known pixels; NaN where none is known or the part is absent."""
    known = mask != UNKNOWN
    truth = mask == 1
    if not known.any() or not truth.any():
        return float("nan")
    found = found & known
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


def _batch(
    films: MaskedFilms, step: int, size: int, training: LungTrainConfig
) -> tuple[Tensor, Tensor]:
    """The films (B, 1, S, S), normalised, and masks of one step; they depend on nothing else."""
    chances = _chances(films, training)
    chosen, masks = [], []
    for position in range(training.batch_size):
        rng = np.random.default_rng((training.seed, step, position))
        row = int(rng.choice(len(chances), p=chances))
        change = draw_change(rng, training)
        film, mask = changed_film(films.pixels[row], films.masks[row], change, size, rng)
        if rng.random() < training.other_pictures:
            film, mask = picture_without_lungs(film, rng), np.zeros_like(mask)
        chosen.append(normalised(film))
        masks.append(mask)
    return torch.from_numpy(np.array(chosen)[:, None]), torch.from_numpy(np.array(masks))


def _chances(films: MaskedFilms, training: LungTrainConfig) -> Floats:
    """How often each film is drawn: sources by their weights, films of a source alike."""
    groups, films_of = np.unique(np.array(films.groups), return_counts=True)
    each = {
        str(group): training.group_weights.get(str(group), 1.0) / count
        for group, count in zip(groups, films_of, strict=True)
    }
    chances = np.array([each[group] for group in films.groups])
    shares: Floats = chances / chances.sum()
    return shares


def _step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    films: Tensor,
    masks: Tensor,
    training: LungTrainConfig,
) -> float:
    """One step of the optimizer; the loss."""
    network.train()
    is_short = training.precision == "bfloat16" or (
        training.precision == "auto" and has_bfloat16(films.device)
    )
    with torch.autocast(films.device.type, torch.bfloat16, enabled=is_short):
        logits = network(films)
    loss = lung_loss(logits.float(), masks)
    value = float(loss.detach())
    if not np.isfinite(value):
        raise FloatingPointError(
            "lung loss not finite; the last checkpoint is kept: lower training.lr"
        )
    loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
    nn.utils.clip_grad_norm_(network.parameters(), training.clip_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return value
