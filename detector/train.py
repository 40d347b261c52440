"""`train_detector`: RetinaNet on the boxes of a manifest, resumable to the bit."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torchvision.models.detection import RetinaNet

from data_manifests.support.atomic import file_sha256, write_bytes, write_json
from data_manifests.support.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    Problem,
    TrainingStopped,
)
from data_manifests.support.progress_bar import progress_bar
from data_manifests.tables.manifest import Manifest
from detector.backbones import load_backbone_weights
from detector.clock import Clock
from detector.config import DetectorConfig, DetectorTrainConfig
from detector.dataset import MicroBatches, TrainingFilm, draw_weights
from detector.detector import CONFIG, WEIGHTS, load_detector
from detector.model import build_detector
from detector.optimization import (
    average_weights,
    build_optimizer,
    learning_rate,
    learning_rate_by_clock,
    training_memory_format,
    training_step,
)
from detector.run.device import warn_of_slow_bfloat16
from detector.run.processes import Place, broadcast_numbers, process_group
from detector.run.provenance import manifest_sha256, provenance
from detector.run.training_run import TrainingRun
from detector.training_films import held_films, losses_in, training_films
from detector.validate import ValidationScores, validate_detector

logger = logging.getLogger(__name__)
# Settings that a resumed run may change: they do not touch the result.
FREE_TO_CHANGE = ("workers", "checkpoint_every")


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
    initial: Path | None = None,
    device: torch.device,
) -> DetectorTraining:
    """Train on the boxes of `train`, keep the weights with the best average precision on `val`.

    Starts from random weights, from a backbone's ImageNet weights, or from `initial`, a trained
    detector of the same configuration (fine-tuning); only its `image_size` may be another.

    Writes `detector.safetensors`, `detector.json`, `metrics.jsonl`, `run.json` and `checkpoint.pt`
    into `out`; a checkpoint that is there is resumed, with the same result as an uninterrupted run
    on the CPU with as many threads. Under torchrun each process takes its share of every batch.

    Raises:
        DataError: no boxes to learn from, a patient in both manifests, a film that cannot be read.
        ConfigError: a batch size that the processes cannot share, weights that leave no film.
        CheckpointError: the checkpoint is another configuration's, or damaged.
        Interrupted: SIGINT or SIGTERM, after saving.
        TrainingStopped: a loader process died; the last checkpoint can be resumed.
        FloatingPointError: a loss that is not finite; names its part and the films.
    """
    clock = None if training.minutes is None else Clock(training.minutes)
    _check_data(train, val)
    if training.precision == "bfloat16":
        warn_of_slow_bfloat16(device)
    if backbone_weights is not None and initial is not None:
        raise ConfigError("give backbone weights or an initial detector, not both")
    if backbone_weights is not None and not backbone_weights.is_file():
        raise CheckpointError(f"{backbone_weights}: expected backbone weights, got no such file")
    start = None if initial is None else load_detector(initial)
    is_pretrained = backbone_weights is not None if start is None else start.config.is_pretrained
    config = config.model_copy(update={"is_pretrained": is_pretrained})
    if start is not None:
        same_size = start.config.model_copy(update={"image_size": config.image_size})
        if same_size != config:
            raise ConfigError(
                f"{initial}: expected a detector of the given configuration, got another "
                f"{', '.join(_different(same_size, config))}; leave out the detector settings, but "
                "for image_size"
            )
    resolved = {
        "detector": config.model_dump(mode="json"),
        "training": training.model_dump(mode="json"),
        "data": {
            "train_sha256": manifest_sha256(train),
            "val_sha256": manifest_sha256(val),
            "backbone_sha256": backbone_weights and file_sha256(backbone_weights),
            "initial_sha256": start and start.sha256,
        },
    }
    with process_group(device) as place, TrainingRun(out, is_writer=place.rank == 0) as run:
        _check_share(training, place)
        torch.manual_seed(training.seed)  # the initial weights only; nothing else draws globally
        model = build_detector(config)
        if backbone_weights is not None:
            load_backbone_weights(model.backbone, backbone_weights)
        if start is not None:
            model.load_state_dict(start.model.state_dict())
        memory_format = training_memory_format(config, device)
        model.to(device, memory_format=memory_format)
        averaged = build_detector(config).to(device, memory_format=memory_format)
        averaged.load_state_dict(model.state_dict())
        optimizer = build_optimizer(model, training)
        progress = _resume(run, resolved, model, averaged, optimizer)
        _check_clock(training, place, progress)
        if run.is_writer and progress.step == 0:
            write_json(out / "run.json", {**resolved, "provenance": provenance()})
        parallel: nn.Module = losses_in(model, training)
        if place.world_size > 1:
            parallel = DistributedDataParallel(parallel)

        sampler = MicroBatches(
            len(train.images),
            draw_weights(train, training),
            training,
            first_step=progress.step,
            rank=place.rank,
            world_size=place.world_size,
        )
        films = training_films(train, sampler, config, training, device)
        read = held_films(val, config, training, device)
        steps = sampler.steps_per_epoch
        with _worker_deaths_explained(run):
            for epoch in range(progress.epochs_done, training.epochs):
                if epoch - progress.best_epoch > training.patience or _is_over(clock):
                    break
                bar = progress_bar(
                    total=steps,
                    initial=progress.step - epoch * steps,
                    desc=f"epoch {epoch + 1}/{training.epochs}",
                    unit="step",
                    disable=place.rank != 0,
                )
                parallel.train()
                while progress.step < (epoch + 1) * steps and not _is_over(clock):
                    rate = _rate(progress.step, steps * training.epochs, training, clock)
                    parts = training_step(
                        parallel,
                        optimizer,
                        islice(films, sampler.micro_batches_per_step),
                        films=sampler.films_per_step,
                        rate=rate,
                        training=training,
                        device=device,
                    )
                    average_weights(averaged, model, training.ema_decay, progress.step)
                    progress.step += 1
                    run.log({"step": progress.step, **parts, "lr_rate": rate})
                    told = {name: f"{value:.3f}" for name, value in parts.items()}
                    bar.set_postfix(told, refresh=False)  # else every step is shown at once
                    bar.update()
                    if run.is_interrupted or progress.step % training.checkpoint_every == 0:
                        _save(run, resolved, model, averaged, optimizer, progress)
                        run.raise_if_interrupted()
                bar.close()
                started = time.monotonic()
                scores = _validate(run, place, averaged, val, config, device, read=read)
                if clock is not None:
                    clock.keep_free(time.monotonic() - started)
                if scores is not None:
                    run.log({"epoch": epoch + 1, "step": progress.step, **scores.as_metrics()})
                    logger.info("epoch %d: %s", epoch + 1, scores)
                    progress.epochs_done = epoch + 1
                    if scores.selection > progress.best.selection:
                        progress.best, progress.best_epoch = scores, epoch
                        if run.is_writer:
                            _write_weights(averaged, config, scores, out)
                if run.is_interrupted or scores is not None:
                    _save(run, resolved, model, averaged, optimizer, progress)
                    run.raise_if_interrupted()
        return DetectorTraining(out, progress.best_epoch + 1, progress.best)


@dataclass
class _Progress:
    """How far the training is; an epoch is done when it has been validated."""

    step: int = 0
    epochs_done: int = 0
    best_epoch: int = 0
    best: ValidationScores = field(default_factory=lambda: ValidationScores(None, None, -1.0))


def _different(one: DetectorConfig, other: DetectorConfig) -> list[str]:
    """Names of the settings in which two configurations differ."""
    return [
        name for name in DetectorConfig.model_fields if getattr(one, name) != getattr(other, name)
    ]


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
    equal = set(train.images["sha256"]) & set(val.images["sha256"]) - {""}
    if equal:
        problems.append(
            Problem(
                file="images.csv",
                field="sha256",
                expected="train and val without a common film",
                got=f"{len(equal)} film files in both",
                fix="merge their patients, then run `pneumoloc manifest split`",
            )
        )
    if problems:
        raise DataError.from_problems(problems)


def _check_share(training: DetectorTrainConfig, place: Place) -> None:
    if training.batch_size % place.world_size:
        raise ConfigError(
            f"training.batch_size: expected a multiple of the {place.world_size} processes, "
            f"got {training.batch_size}"
        )


def _check_clock(training: DetectorTrainConfig, place: Place, progress: _Progress) -> None:
    """Processes do not stop at the same step by their clocks, and a resumed run has no clock."""
    if training.minutes is not None and (place.world_size > 1 or progress.step > 0):
        raise ConfigError(
            "training.minutes: expected one process and a new run, got "
            + ("several processes" if place.world_size > 1 else "a checkpoint")
            + "; set training.epochs instead, or another --out"
        )


@contextmanager
def _worker_deaths_explained(run: TrainingRun) -> Iterator[None]:
    """torch raises a plain RuntimeError, from wherever the trainer happens to be."""
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TrainingStopped(
            f"a loader process died, mostly for want of memory ({error}); the checkpoint in "
            f"{run.folder} is kept: go on with --resume --set training.workers=0"
        ) from error


def _is_over(clock: Clock | None) -> bool:
    return clock is not None and clock.done() >= 1


def _rate(step: int, total_steps: int, training: DetectorTrainConfig, clock: Clock | None) -> float:
    if clock is None:
        return learning_rate(step, total_steps, training.warmup_steps)
    return learning_rate_by_clock(step, clock.done(), training.warmup_steps)


def _validate(
    run: TrainingRun,
    place: Place,
    averaged: RetinaNet,
    val: Manifest,
    config: DetectorConfig,
    device: torch.device,
    *,
    read: Callable[[int], TrainingFilm] | None,
) -> ValidationScores | None:
    """Scores by the first process, told to the others; None if a signal came before the end."""
    scores = None
    if place.rank == 0:
        scores = validate_detector(
            averaged,
            val,
            config.image_size,
            device,
            read=read,
            should_stop=lambda: run.is_signalled,
        )
    numbers = None if scores is None else [scores.ap_25, scores.ap_50, scores.selection]
    told = broadcast_numbers(numbers, 3, place, device)
    if told is None:
        return None
    return ValidationScores(ap_25=told[0], ap_50=told[1], selection=told[2] or 0.0)


def _save(
    run: TrainingRun,
    resolved: Mapping[str, Any],
    model: RetinaNet,
    averaged: RetinaNet,
    optimizer: torch.optim.Optimizer,
    progress: _Progress,
) -> None:
    run.save_checkpoint(
        {
            "config": dict(resolved),
            "model": model.state_dict(),
            "averaged": averaged.state_dict(),
            "optimizer": optimizer.state_dict(),
            "step": progress.step,
            "epochs_done": progress.epochs_done,
            "best_epoch": progress.best_epoch,
            "best": progress.best.as_metrics(),
        }
    )


def _resume(
    run: TrainingRun,
    resolved: Mapping[str, Mapping[str, Any]],
    model: RetinaNet,
    averaged: RetinaNet,
    optimizer: torch.optim.Optimizer,
) -> _Progress:
    """Load the checkpoint if there is one."""
    state = run.load_checkpoint()
    if state is None:
        return _Progress()
    try:
        then = dict(state["config"])
        # Settings that are younger than the checkpoint had their defaults.
        then["training"] = {**DetectorTrainConfig().model_dump(mode="json"), **then["training"]}
        changed = [
            f"{part}.{key}: {then[part].get(key)!r} then, {value!r} now"
            for part, settings in resolved.items()
            for key, value in settings.items()
            if then[part].get(key) != value and key not in FREE_TO_CHANGE
        ]
        if changed:
            raise CheckpointError(
                f"{run.folder}: the checkpoint was made with other settings ({'; '.join(changed)});"
                " use the same, or another --out"
            )
        model.load_state_dict(state["model"])
        averaged.load_state_dict(state["averaged"])
        optimizer.load_state_dict(state["optimizer"])
        return _Progress(
            step=int(state["step"]),
            epochs_done=int(state["epochs_done"]),
            best_epoch=int(state["best_epoch"]),
            best=ValidationScores(**state["best"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointError(
            f"{run.folder}: the checkpoint is not one of a detector's training ({error}); "
            "choose another --out"
        ) from error


def _write_weights(
    model: RetinaNet, config: DetectorConfig, scores: ValidationScores, out: Path
) -> None:
    tensors = {name: value.contiguous().cpu() for name, value in model.state_dict().items()}
    write_bytes(out / WEIGHTS, save(tensors))
    write_json(out / CONFIG, {**config.model_dump(mode="json"), "validation": scores.as_metrics()})
