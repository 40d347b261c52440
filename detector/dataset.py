"""Training films: which are drawn for an epoch, and how one is read, changed and collated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from data_manifests.films import read_film
from data_manifests.manifest import Manifest
from detector.augment import apply_augmentation, draw_augmentation
from detector.config import DetectorTrainConfig
from detector.prepare import prepare_film


@dataclass(frozen=True)
class FilmKey:
    """One draw: film `index` at place `position` of `epoch`, which seeds its augmentation."""

    index: int
    epoch: int
    position: int


@dataclass(frozen=True)
class TrainingFilm:
    """A film in the model's frame: `image` float32 (3, H, W), `boxes` float32 (N, 4)."""

    image: Tensor
    boxes: Tensor
    image_id: str


class FilmDataset(Dataset[TrainingFilm]):
    """Films of a manifest, prepared for the detector; augmented where `seed` is given."""

    def __init__(self, manifest: Manifest, *, image_size: int, seed: int | None) -> None:
        self.image_ids = manifest.images["image_id"].tolist()
        self.paths: list[Path] = manifest.film_paths()
        boxes = manifest.boxes_by_image()
        self.boxes = [boxes.get(image_id, np.zeros((0, 4))) for image_id in self.image_ids]
        self.image_size = image_size
        self.seed = seed

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, key: FilmKey) -> TrainingFilm:
        prepared = prepare_film(read_film(self.paths[key.index]).pixels, self.image_size)
        pixels, boxes = prepared.pixels, prepared.to_model(self.boxes[key.index])
        if self.seed is not None:
            change = draw_augmentation(self.seed, key.epoch, key.position)
            pixels, boxes = apply_augmentation(pixels, boxes, change)
        return TrainingFilm(
            image=torch.from_numpy(pixels).expand(3, -1, -1),
            boxes=torch.from_numpy(boxes.astype(np.float32)),
            image_id=self.image_ids[key.index],
        )


def draw_weights(manifest: Manifest, config: DetectorTrainConfig) -> NDArray[np.float64] | None:
    """Each film's chance of being drawn, or None where every film comes once an epoch."""
    if config.boxed_share is None and not config.source_weights and config.epoch_films is None:
        return None
    source = manifest.images["source"].map(lambda name: config.source_weights.get(name, 1.0))
    weights = source.to_numpy(np.float64, copy=True)
    if config.boxed_share is not None:
        boxed = manifest.images["image_id"].isin(set(manifest.boxes["image_id"])).to_numpy(bool)
        for part, share in ((boxed, config.boxed_share), (~boxed, 1 - config.boxed_share)):
            if part.any():
                weights[part] *= share / weights[part].sum()
    normalised: NDArray[np.float64] = weights / weights.sum()
    return normalised


def epoch_order(
    films: int, weights: NDArray[np.float64] | None, config: DetectorTrainConfig, epoch: int
) -> NDArray[np.int64]:
    """Film indices of one epoch, from (seed, epoch) alone.

    The length is a multiple of the batch size (the last batch is filled from the start), so that
    every process of a distributed run takes the same number of steps.
    """
    rng = np.random.default_rng((config.seed, epoch, 1 << 20))
    if weights is None:
        order = rng.permutation(films)
    else:
        order = rng.choice(films, size=config.epoch_films or films, p=weights)
    return np.resize(order, -(-len(order) // config.batch_size) * config.batch_size)


class MicroBatches(Sampler[list[FilmKey]]):
    """The remaining micro-batches of one epoch for one process.

    A global batch is dealt out to the processes, then cut into micro-batches: together they are the
    same films whatever the number of processes.
    """

    def __init__(
        self,
        order: NDArray[np.int64],
        *,
        epoch: int,
        first_step: int,
        batch_size: int,
        micro_batch: int,
        rank: int,
        world_size: int,
    ) -> None:
        self.keys = [FilmKey(int(film), epoch, place) for place, film in enumerate(order)]
        self.first_step = first_step
        self.batch_size = batch_size
        self.micro_batch = micro_batch
        self.rank, self.world_size = rank, world_size

    def __iter__(self) -> Iterator[list[FilmKey]]:
        for step in range(self.first_step, len(self.keys) // self.batch_size):
            batch = self.keys[step * self.batch_size : (step + 1) * self.batch_size]
            own = batch[self.rank :: self.world_size]
            for start in range(0, len(own), self.micro_batch):
                yield own[start : start + self.micro_batch]


def as_list(films: list[TrainingFilm]) -> list[TrainingFilm]:
    """Collation that keeps films apart: RetinaNet pads them itself."""
    return films
