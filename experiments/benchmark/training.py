"""Detector training beside torchvision's reference loop, with the time both wait for films."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.models.detection import RetinaNet
from torchvision.transforms.functional import to_tensor

from data_manifests.support.arrays import Floats
from data_manifests.tables.manifest import Manifest
from detector.config import DetectorConfig, DetectorTrainConfig
from detector.dataset import FilmDataset, MicroBatches, TrainingFilm, as_read
from detector.network.model import build_detector
from detector.optimization import (
    average_weights,
    build_optimizer,
    training_memory_format,
    training_step,
)
from experiments.benchmark.films import phantom_films
from experiments.benchmark.rows import BenchmarkRow, alternately
from experiments.benchmark.sizes import Bench

CPU = torch.device("cpu")
EPOCHS = 1_000_000  # more than are drawn
Target = dict[str, Tensor]


def detector_rows(bench: Bench) -> Iterator[BenchmarkRow]:
    """Films a second through both loops: reading, changing, forward, backward, step."""
    films = phantom_films(bench)
    films = films.subset(films.images["image_id"].isin(films.boxes["image_id"]))
    size = bench.size
    config = size.detector.model_copy(update={"image_size": size.train_px})
    ours, reference = OurLoop(films, config, bench), ReferenceLoop(films, config, bench)
    our_seconds, their_seconds = alternately([ours.steps, reference.steps], bench.runs)
    count = size.train_steps * size.train_batch
    yield BenchmarkRow(
        name="detector_train_vs_reference",
        group="detector",
        what=f"detector training, {config.backbone}, {size.train_px} px, batch {size.train_batch}; "
        "augmented, averaged weights, AdamW",
        ours=count / our_seconds,
        baseline=count / their_seconds,
        baseline_is="torchvision's reference loop: PIL, resizing inside the model, SGD; neither "
        "augmentation nor averaged weights",
        goal=">= 1.00",
        unit="films/s",
        runs=bench.runs,
        detail={
            "wait_share": ours.waited / ours.spent,
            "wait_share_of_reference": reference.waited / reference.spent,
            "loader_processes": size.train_workers,
            "threads": torch.get_num_threads(),
        },
    )


class _Loop(ABC):
    """A training in steps, and the time it waited for films."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self.waited = 0.0
        self.spent = 0.0

    def steps(self) -> None:
        """Some steps."""
        start = time.perf_counter()
        for _ in range(self._steps):
            asked = time.perf_counter()
            batch = self.next_batch()
            self.waited += time.perf_counter() - asked
            self.train(batch)
        self.spent += time.perf_counter() - start

    @abstractmethod
    def next_batch(self) -> Any:  # Any: each loop has its own kind of batch
        """The films of the next step."""

    @abstractmethod
    def train(self, batch: Any) -> None:
        """One step on them."""


class OurLoop(_Loop):
    """The steps of `detector.train`."""

    def __init__(self, films: Manifest, config: DetectorConfig, bench: Bench) -> None:
        super().__init__(bench.size.train_steps)
        size = bench.size
        self._training = DetectorTrainConfig(epochs=EPOCHS, batch_size=size.train_batch)
        self._model = _random_detector(config)
        memory_format = training_memory_format(self._model, CPU)
        self._model = self._model.to(memory_format=memory_format)
        self._averaged = _random_detector(config).to(memory_format=memory_format)
        self._optimizer = build_optimizer(self._model, self._training)
        self._step = 0
        loader: DataLoader[Any] = DataLoader(
            FilmDataset(films, image_size=config.image_size, seed=0),
            batch_sampler=_Endless(films, self._training),
            num_workers=size.train_workers,
            collate_fn=as_read,
            multiprocessing_context="spawn" if size.train_workers else None,
        )
        self._batches = iter(loader)

    def next_batch(self) -> list[TrainingFilm]:
        batch: list[TrainingFilm] = next(self._batches)
        return batch

    def train(self, batch: list[TrainingFilm]) -> None:
        training_step(
            self._model,
            self._optimizer,
            [batch],
            films=len(batch),
            rate=1e-3,
            training=self._training,
            device=CPU,
        )
        average_weights(self._averaged, self._model, self._training.ema_decay, self._step)
        self._step += 1


class ReferenceLoop(_Loop):
    """torchvision's detection reference: images of their own size to `model(images, targets)`."""

    def __init__(self, films: Manifest, config: DetectorConfig, bench: Bench) -> None:
        super().__init__(bench.size.train_steps)
        size = bench.size
        training = DetectorTrainConfig(epochs=EPOCHS, batch_size=size.train_batch)
        self._model = _random_detector(config)
        trained = [one for one in self._model.parameters() if one.requires_grad]
        self._optimizer = torch.optim.SGD(trained, lr=1e-6, momentum=0.9, weight_decay=1e-4)
        loader: DataLoader[Any] = DataLoader(
            PlainFilms(films),
            batch_sampler=_Endless(films, training),
            num_workers=size.train_workers,
            collate_fn=_as_tuples,
            multiprocessing_context="spawn" if size.train_workers else None,
        )
        self._batches = iter(loader)

    def next_batch(self) -> tuple[list[Tensor], list[Target]]:
        batch: tuple[list[Tensor], list[Target]] = next(self._batches)
        return batch

    def train(self, batch: tuple[list[Tensor], list[Target]]) -> None:
        losses = self._model(*batch)
        total = sum(losses.values())
        self._optimizer.zero_grad()
        total.backward()
        self._optimizer.step()


class PlainFilms(Dataset[tuple[Tensor, Target]]):
    """Films as a reference dataset gives them: RGB tensors of full size, boxes, labels."""

    def __init__(self, films: Manifest) -> None:
        self._paths: list[Path] = films.film_paths()
        boxes = films.boxes_by_image()
        self._boxes: list[Floats] = [boxes[name] for name in films.images["image_id"]]

    def __getitem__(self, key: Any) -> tuple[Tensor, Target]:
        with Image.open(self._paths[key.index]) as image:
            pixels = to_tensor(image.convert("RGB"))
        boxes = torch.from_numpy(self._boxes[key.index].astype(np.float32))
        return pixels, {"boxes": boxes, "labels": torch.zeros(len(boxes), dtype=torch.int64)}


class _Endless(MicroBatches):
    """Epoch after epoch."""

    def __init__(self, films: Manifest, training: DetectorTrainConfig) -> None:
        super().__init__(len(films.images), None, training, first_step=0, rank=0, world_size=1)


def _random_detector(config: DetectorConfig) -> RetinaNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_detector(config).train()


def _as_tuples(batch: list[tuple[Tensor, Target]]) -> tuple[list[Tensor], list[Target]]:
    return [image for image, _ in batch], [target for _, target in batch]
