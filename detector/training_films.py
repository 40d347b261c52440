"""`training_films`: a training's micro-batches, read by loader processes or held on the device."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from data_manifests.support.errors import ConfigError, DataError
from data_manifests.support.worker_pool import end_with_parent
from data_manifests.tables.manifest import Manifest
from detector.batch_losses import BatchLosses, FilmBatch
from detector.config import DetectorTrainConfig
from detector.dataset import FilmDataset, MicroBatches, TrainingFilm, as_read
from detector.network.torchvision_parts import RetinaNet
from detector.resident_films import ResidentFilms


def _start_loader(_worker: int) -> None:
    """Ctrl-C reaches the whole process group: loader processes go on until the state is saved."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def training_films(
    train: Manifest,
    sampler: MicroBatches,
    image_size: int,
    training: DetectorTrainConfig,
    device: torch.device,
) -> Iterator[list[TrainingFilm] | FilmBatch]:
    """Micro-batches in the order of `sampler`: lists of films, or a `FilmBatch` on the device.

    Raises:
        DataError: a film that cannot be read.
    """
    seed = training.seed if training.augment else None
    if training.films_on_device:
        held = ResidentFilms(
            train,
            image_size=image_size,
            seed=seed,
            strength=training.augment_strength,
            device=device,
            processes=training.workers,
        )
        return held.batches(sampler)
    loader: DataLoader[Any] = DataLoader(
        FilmDataset(train, image_size=image_size, seed=seed, strength=training.augment_strength),
        batch_sampler=sampler,
        num_workers=training.workers,
        collate_fn=as_read,
        # Its own generator: a loader otherwise draws its seed from the global one.
        generator=torch.Generator().manual_seed(training.seed),
        multiprocessing_context="spawn" if training.workers else None,
        worker_init_fn=_start_loader,
    )
    return _loaded(loader)


def _loaded(loader: DataLoader[Any]) -> Iterator[list[TrainingFilm]]:
    for batch in loader:
        if isinstance(batch, DataError):
            raise batch
        yield batch


def held_films(
    val: Manifest, image_size: int, training: DetectorTrainConfig, device: torch.device
) -> Callable[[int], TrainingFilm] | None:
    """Validation films by row where films are held on the device, else None."""
    if not training.films_on_device:
        return None
    return ResidentFilms(
        val,
        image_size=image_size,
        seed=None,
        strength=1.0,
        device=device,
        processes=training.workers,
    ).film


def losses_in(model: RetinaNet, training: DetectorTrainConfig) -> nn.Module:
    """What `training_step` calls: the network itself, or its losses for whole batches."""
    if training.films_on_device:
        return BatchLosses(model, film_loss=training.film_loss)
    network: nn.Module = model
    if training.film_loss:
        raise ConfigError("training.film_loss: expected training.films_on_device with it; set both")
    return network
