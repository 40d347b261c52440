"""Training films: which are drawn for an epoch, and how one is read, changed and collated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from data_manifests.boxes import valid_boxes
from data_manifests.films.read_film import read_film
from data_manifests.support.arrays import Floats, Ints
from data_manifests.support.errors import ConfigError, DataError, Problem
from data_manifests.tables.manifest import Manifest
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
    """Films of a manifest, prepared for the detector; augmented where `seed` is given.

    Reading one raises DataError: a bad film, another size than the manifest's, a box outside.
    """

    def __init__(
        self, manifest: Manifest, *, image_size: int, seed: int | None, strength: float = 1.0
    ) -> None:
        self.image_ids = manifest.images["image_id"].tolist()
        self.paths: list[Path] = manifest.film_paths()
        boxes = manifest.boxes_by_image()
        self.boxes = [boxes.get(image_id, np.zeros((0, 4))) for image_id in self.image_ids]
        self.sizes = manifest.images[["width", "height"]].to_numpy(np.float64, na_value=np.nan)
        self.image_size = image_size
        self.seed, self.strength = seed, strength

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, key: FilmKey) -> TrainingFilm:
        film = read_film(self.paths[key.index])
        self._check(key.index, film.width, film.height)
        prepared = prepare_film(film.pixels, self.image_size)
        pixels, boxes = prepared.pixels, prepared.to_model(self.boxes[key.index])
        if self.seed is not None:
            change = draw_augmentation(self.seed, key.epoch, key.position, self.strength)
            pixels, boxes = apply_augmentation(pixels, boxes, change)
        return TrainingFilm(
            image=torch.from_numpy(pixels).expand(3, -1, -1),
            boxes=torch.from_numpy(boxes.astype(np.float32)),
            image_id=self.image_ids[key.index],
        )

    def __getitems__(self, keys: list[FilmKey]) -> list[TrainingFilm] | DataError:
        """A micro-batch, or why not: a loader process would turn an error into a traceback."""
        try:
            return [self[key] for key in keys]
        except DataError as error:
            return error

    def _check(self, index: int, width: int, height: int) -> None:
        """Refuse a resized film: its boxes would lie elsewhere, without an error."""
        declared = self.sizes[index]
        boxes = self.boxes[index]
        field, expected, got = "", "", ""
        if np.isfinite(declared).all() and (width, height) != (declared[0], declared[1]):
            field, got = "width,height", f"{width} x {height}"
            expected = f"{declared[0]:.0f} x {declared[1]:.0f} as in images.csv"
        elif not (inside := valid_boxes(boxes, width, height)).all():
            field, got = "x1,y1,x2,y2", str(boxes[~inside][0].tolist())
            expected = f"boxes inside {width} x {height}"
        if field:
            raise DataError.from_problems(
                [
                    Problem(
                        file=f"film {self.image_ids[index]}",
                        field=field,
                        expected=expected,
                        got=got,
                        fix="run `pneumoloc manifest check`",
                    )
                ]
            )


def draw_weights(manifest: Manifest, config: DetectorTrainConfig) -> Floats | None:
    """Each film's chance of being drawn, or None where every film comes once an epoch.

    Raises:
        ConfigError: a weight for a source that no film has, or weights that leave no film.
    """
    if config.boxed_share is None and not config.source_weights and config.epoch_films is None:
        return None
    sources = manifest.images["source"]
    unknown = sorted(set(config.source_weights) - set(sources))
    if unknown:
        raise ConfigError(
            f"training.source_weights: expected sources of the training films "
            f"({', '.join(sorted(set(sources)))}), got {', '.join(unknown)}"
        )
    weights = np.array([config.source_weights.get(name, 1.0) for name in sources], np.float64)
    if config.boxed_share is not None:
        boxed = manifest.images["image_id"].isin(set(manifest.boxes["image_id"])).to_numpy(bool)
        for part, share in ((boxed, config.boxed_share), (~boxed, 1 - config.boxed_share)):
            total = weights[part].sum()
            if total > 0:
                weights[part] *= share / total
    if not weights.sum() > 0:
        raise ConfigError(
            "training: boxed_share and source_weights leave no film to draw; raise one of them"
        )
    normalised: Floats = weights / weights.sum()
    return normalised


def epoch_order(
    films: int, weights: Floats | None, config: DetectorTrainConfig, epoch: int
) -> Ints:
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
    """The remaining micro-batches of a training for one process, over all its epochs.

    A global batch is dealt out to the processes, then cut into micro-batches: together they are the
    same films whatever the number of processes. One sampler for all epochs lets loader processes
    live on and read ahead while an epoch is validated.
    """

    def __init__(
        self,
        films: int,
        weights: Floats | None,
        config: DetectorTrainConfig,
        *,
        first_step: int,
        rank: int,
        world_size: int,
    ) -> None:
        self.films, self.weights, self.config = films, weights, config
        self.first_step = first_step
        self.rank, self.world_size = rank, world_size
        self.steps_per_epoch = len(epoch_order(films, weights, config, 0)) // config.batch_size

    @property
    def films_per_step(self) -> int:
        """Films of one step for this process."""
        return self.config.batch_size // self.world_size

    @property
    def micro_batches_per_step(self) -> int:
        """How many lists of films make one step."""
        return -(-self.films_per_step // self._micro_batch)

    @property
    def _micro_batch(self) -> int:
        return min(self.config.micro_batch or self.films_per_step, self.films_per_step)

    def __iter__(self) -> Iterator[list[FilmKey]]:
        size = self.config.batch_size
        first_epoch, first_in_epoch = divmod(self.first_step, self.steps_per_epoch)
        for epoch in range(first_epoch, self.config.epochs):
            order = epoch_order(self.films, self.weights, self.config, epoch)
            keys = [FilmKey(int(film), epoch, place) for place, film in enumerate(order)]
            for step in range(first_in_epoch, self.steps_per_epoch):
                own = keys[step * size : (step + 1) * size][self.rank :: self.world_size]
                for start in range(0, len(own), self._micro_batch):
                    yield own[start : start + self._micro_batch]
            first_in_epoch = 0


def as_read(films: list[TrainingFilm] | DataError) -> list[TrainingFilm] | DataError:
    """Collation that keeps films apart: RetinaNet pads them itself."""
    return films
