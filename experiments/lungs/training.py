"""`train_lung_network`: the training of the package's lung network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from data_manifests.support.settings import load_settings
from detector.lungs.config import LungNetworkConfig, LungTrainConfig
from detector.lungs.train import LungScores, train_lungs
from experiments.data.lung_films import COVID, JSRT, PHANTOM, at_training_size, lung_films

# Share of the draws: COVID films vary most, JSRT alone teaches the heart of real films.
GROUP_WEIGHTS = {COVID: 0.6, JSRT: 0.25, PHANTOM: 0.15}


def train_lung_network(
    data: Path, out: Path, overrides: Sequence[str], device: torch.device
) -> LungScores:
    """Train on the films with masks; resumes an unfinished run.

    Raises:
        DataError: a missing table, film or mask.
        ConfigError: an unknown setting, or a run folder of other settings.
    """
    training = load_settings(LungTrainConfig, None, overrides)
    if not training.group_weights:
        training = training.model_copy(update={"group_weights": GROUP_WEIGHTS})
    films = lung_films(data)
    parts = {
        split: at_training_size([film for film in films if film.split == split])
        for split in ("train", "val")
    }
    return train_lungs(
        parts["train"],
        parts["val"],
        out,
        config=LungNetworkConfig(),
        training=training,
        device=device,
    )
