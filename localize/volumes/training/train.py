"""`train_grounder`: the network from volumes, reports and marked regions."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from attributes.anomalies.structure_ct import AnomalyStructurer
from data_manifests.support.arrays import Ints
from data_manifests.support.atomic import file_sha256
from data_manifests.support.errors import DataError, Problem
from data_manifests.support.progress_bar import progress_bar
from data_manifests.volumes.volume_set import VolumeSet
from detector.optimization import learning_rate
from detector.run.run_state import RunState
from detector.run.training_run import TrainingRun, has_checkpoint
from localize.volumes.evaluation.score_examples import mean_scores, score_examples
from localize.volumes.inference.load_grounder import WEIGHTS
from localize.volumes.inference.patches import autocast, chosen_precision
from localize.volumes.network.config import VolumeSettings
from localize.volumes.network.grounder import VolumeGrounder, build_grounder
from localize.volumes.network.report_tokens import build_vocabulary
from localize.volumes.network.transformer_head import TransformerHead
from localize.volumes.training.batches import GroundingBatch, draw_batch
from localize.volumes.training.examples import GroundingExample, make_examples
from localize.volumes.training.losses import box_loss, dice_loss, region_boxes
from localize.volumes.training.masked_words import pretrain_text

logger = logging.getLogger(__name__)
WARMUP_STEPS = 20


@dataclass(frozen=True)
class GrounderTraining:
    """A finished training: its folder, the best epoch and its mean Dice in validation."""

    folder: Path
    best_epoch: int
    best_dice: float
    train_volumes: int
    val_volumes: int


def train_grounder(
    volume_set: VolumeSet,
    out: Path,
    settings: VolumeSettings,
    device: torch.device,
    *,
    cache: Path | None = None,
) -> GrounderTraining:
    """Train on the volumes of split `train`, select the epoch by the Dice score of `val`.

    Writes `grounder.safetensors`, `grounder.json`, `metrics.jsonl`, `run.json`, `checkpoint.pt`.
    If there is a checkpoint the training resumes from it, with the same result as an uninterrupted
    one. Resampled volumes are kept in `cache` (default: in `out`), which trainings may share.

    Raises:
        DataError: no volumes of a split, none with a marked anomaly, or a bad volume.
        ConfigError: a checkpoint of other settings or data.
        Interrupted: SIGINT or SIGTERM, after saving.
        FloatingPointError: a loss or gradient that is not finite; names the volumes.
    """
    network_config, training = settings.network, settings.training
    structurer = AnomalyStructurer()
    train, val = volume_set.of_split("train"), volume_set.of_split("val")
    vocabulary = build_vocabulary(structurer.structure(item.report) for item in train)
    organs = structurer.lexicon.organs
    examples, val_examples = (
        make_examples(
            volume_set, volumes, vocabulary, structurer,
            spacing_mm=network_config.spacing_mm, cache=cache or out / "cache",
        )
        for volumes in (train, val)
    )  # fmt: skip
    usable = [example for example in examples if example.queries]
    if not usable:
        raise DataError.from_problems(
            [Problem("anomalies.csv", "marked anomalies of training volumes", "none found")]
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        network = build_grounder(network_config, words=len(vocabulary.words), organs=len(organs))
    network = network.to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload] # of its convolutions
    network.text.freeze(network_config.frozen_text_layers if training.text_steps else 0)
    optimizer = torch.optim.AdamW(
        [parameter for parameter in network.parameters() if parameter.requires_grad],
        lr=training.lr, weight_decay=training.weight_decay,
    )  # fmt: skip
    described = {
        **settings.model_dump(mode="json"),
        "vocabulary": list(vocabulary.words),
        "organs": list(organs),
        "lexicon_sha256": structurer.lexicon.lexicon.sha256,
        "data_sha256": _checksum(volume_set),
    }
    precision = chosen_precision(training.precision, device)
    with TrainingRun(out) as run:
        is_new = not has_checkpoint(out)
        state = RunState(run, described, {"network": network}, optimizer)
        state.resume()
        progress = state.progress
        if is_new:
            network.text.requires_grad_(True)
            loss = pretrain_text(
                network.text, [example.tokens for example in examples], vocabulary,
                steps=training.text_steps, seed=training.seed,
            )  # fmt: skip
            network.text.freeze(network_config.frozen_text_layers if training.text_steps else 0)
            logger.info("masked words: loss %.3f", loss)
            state.save()
        steps = -(-len(usable) // training.batch_size)
        total = steps * training.epochs
        bar = progress_bar(
            total=training.epochs, initial=progress.epoch, desc="grounder", unit="epoch"
        )
        while progress.epoch < training.epochs:
            order = _epoch_order(
                len(usable), steps * training.batch_size, training.seed, progress.epoch
            )
            network.train()
            while progress.step < (progress.epoch + 1) * steps:
                first = progress.step % steps * training.batch_size
                rows = order[first : first + training.batch_size]
                rng = np.random.default_rng((training.seed, progress.step, 3))
                batch = draw_batch(
                    usable, rows, rng,
                    patch=training.patch, use_anatomy=network_config.use_anatomy,
                )  # fmt: skip
                rate = learning_rate(progress.step, total, WARMUP_STEPS)
                for group in optimizer.param_groups:
                    group["lr"] = training.lr * rate
                with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                    torch.manual_seed(training.seed * 1_000_003 + progress.step)
                    loss = _step(
                        network, optimizer, batch, training.clip_norm, precision, usable, rows
                    )
                state.finish_step({"loss": loss}, checkpoint_every=training.checkpoint_every)
            progress.epoch += 1
            scores = mean_scores(
                score_examples(
                    network, val_examples, patch=training.patch,
                    use_anatomy=network_config.use_anatomy, precision=precision,
                )
            )  # fmt: skip
            state.select(scores, -scores.dice, "network", file=WEIGHTS, description=described)
            state.save()
            bar.set_postfix(dice=f"{-progress.best_value:.3f}", refresh=False)
            bar.update()
            run.raise_if_interrupted()
        bar.close()
    return GrounderTraining(
        out, progress.best_epoch, -progress.best_value, len(usable), len(val_examples)
    )


def _epoch_order(volumes: int, count: int, seed: int, epoch: int) -> Ints:
    """Volumes of an epoch from (seed, epoch) alone, the last batch filled from the start."""
    return np.resize(np.random.default_rng((seed, epoch)).permutation(volumes), count)


def _step(
    network: VolumeGrounder,
    optimizer: torch.optim.Optimizer,
    batch: GroundingBatch,
    clip_norm: float,
    precision: torch.dtype,
    examples: Sequence[GroundingExample],
    rows: Ints,
) -> float:
    """One step of the mean loss over anomalies.

    Raises:
        FloatingPointError: the loss or the gradient is not finite; no weight has changed.
    """
    device = next(network.parameters()).device
    images = batch.images.to(device, memory_format=torch.channels_last_3d)
    regions = batch.regions.to(device)
    loss = _losses(network, images, batch, regions, precision).mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call] # torch leaves Tensor.backward untyped
    norm = nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
    if not (torch.isfinite(norm) and torch.isfinite(loss)):
        named = ", ".join(examples[int(row)].volume_id for row in rows)
        raise FloatingPointError(f"loss or gradient not finite on {named}; the checkpoint is kept")
    optimizer.step()
    return float(loss.detach())


def _losses(
    network: VolumeGrounder,
    images: Tensor,
    batch: GroundingBatch,
    regions: Tensor,
    precision: torch.dtype,
) -> Tensor:
    """(Q,): Dice losses of maps; of the transformer head the losses of its boxes."""
    with autocast(images.device, precision):
        cells = network.encoder(images)
    cells = cells.float()
    words = network.text.report_vectors(batch.reports)
    if isinstance(network.head, TransformerHead):
        boxes = network.head.boxes(cells, words, batch.queries)
        return box_loss(boxes, region_boxes(regions))
    nx, ny, nz = images.shape[2:]
    return dice_loss(network.head(cells, words, batch.queries, (nx, ny, nz)), regions)


def _checksum(volume_set: VolumeSet) -> str:
    """Of the tables of a set; its files are not read."""
    tables = [file_sha256(volume_set.folder / name) for name in ("volumes.csv", "anomalies.csv")]
    return hashlib.sha256("".join(tables).encode()).hexdigest()
