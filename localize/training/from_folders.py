"""`train_on_folders`: a localizer from the folders that the steps before it wrote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from attributes.targets.training_targets import read_targets
from attributes.vectors.word_vectors import read_word_vectors
from data_manifests.tables.manifest import Manifest
from detector.roi_store import RoiStore
from localize.network.config import LocalizeTrainConfig
from localize.network.localizer import build_localizer
from localize.training.objective import build_objective
from localize.training.pairs import make_pairs
from localize.training.settings import LocalizerSettings
from localize.training.train import LocalizerTraining, train_localizer
from localize.training.training_data import TrainingData


@dataclass(frozen=True)
class TrainingFolders:
    """`pairs` are films with reports and splits; `rois` is their ROI store (`detector propose`),
    `attributes` their mined reports (`attributes mine`), `words` word vectors (`attributes
    vectors`)."""

    pairs: Manifest
    rois: Path
    attributes: Path
    words: Path


@contextmanager
def open_training_data(
    folders: TrainingFolders, training: LocalizeTrainConfig
) -> Iterator[TrainingData]:
    """The splits train and val, with the ROI store open.

    Raises:
        DataError: a folder missing or damaged, a film without regions, no pairs, or films or
            patients in both splits.
    """
    targets = read_targets(folders.attributes, policy=training.target_policy)
    with RoiStore(folders.rois) as store:
        train, val = (
            make_pairs(
                folders.pairs.split(name), store, targets, include_normal=training.include_normal
            )
            for name in ("train", "val")
        )
        yield TrainingData(store, train, val, read_word_vectors(folders.words))


def train_on_folders(
    folders: TrainingFolders, run: Path, *, settings: LocalizerSettings, device: torch.device
) -> LocalizerTraining:
    """Build the localizer and the objective of `settings` and train them into the folder `run`.

    Raises:
        DataError: see `open_training_data`.
        ConfigError, CheckpointError, Interrupted, FloatingPointError: see `train_localizer`.
    """
    config, training = settings.localizer, settings.training
    with open_training_data(folders, training) as data:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training.seed)  # the initial weights
            model = build_localizer(config, **data.sizes)
        return train_localizer(
            model.to(device),
            build_objective(config, training, data.words, data.train, device),
            data,
            run,
            training=training,
            description=config.model_dump(mode="json"),
        )
