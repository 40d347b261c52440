"""`train_on_folders`: a localizer from the folders that the steps before it wrote."""

from __future__ import annotations

from pathlib import Path

import torch

from attributes.targets.training_targets import read_targets
from attributes.vectors.word_vectors import read_word_vectors
from data_manifests.tables.manifest import Manifest
from detector.roi_store import RoiStore
from localize.training.pairs import make_pairs
from localize.training.settings import LocalizerSettings
from localize.training.train_localizer import LocalizerTraining, train_localizer


def train_on_folders(
    films: Manifest,
    rois: Path,
    attributes: Path,
    words: Path,
    run: Path,
    *,
    settings: LocalizerSettings,
    device: torch.device,
) -> LocalizerTraining:
    """Train on the splits train and val of `films` into the folder `run`.

    `rois` is a ROI store (`detector propose`), `attributes` mined reports (`attributes mine`),
    `words` word vectors (`attributes vectors`).

    Raises:
        DataError: a folder missing or damaged, a film without regions, or no pairs.
    """
    targets = read_targets(attributes, policy=settings.training.target_policy)
    with RoiStore(rois) as store:
        train, val = (
            make_pairs(
                films.split(name), store, targets, include_normal=settings.training.include_normal
            )
            for name in ("train", "val")
        )
        return train_localizer(
            store,
            train,
            store,
            val,
            read_word_vectors(words),
            run,
            config=settings.localizer,
            training=settings.training,
            device=device,
        )
