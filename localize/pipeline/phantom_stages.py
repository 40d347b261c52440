"""Stages on phantom films: hospital A with boxes and its detector, hospital B with reports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from attributes.vectors.word_vectors import VectorOptions
from data_manifests.phantom.case import PhantomOptions
from data_manifests.phantom.generate import SplitShares, build_phantom
from data_manifests.tables.manifest import Manifest
from detector.config import DetectorConfig, DetectorTrainConfig, Precision
from detector.detector import read_detector_config
from localize.bundle.packaged import FIRST_BUNDLE
from localize.pipeline.stages import (
    mine_stage,
    propose_stage,
    train_detector_stage,
    word_vectors_stage,
)

VALIDATION_FILMS = 100  # at most, of each hospital
CPU = torch.device("cpu")


@dataclass(frozen=True)
class PhantomSize:
    """How many films are drawn and how long is trained; the default takes minutes on two cores."""

    films_a: int = 300
    films_b: int = 400
    film_px: int = 160
    model_px: int = 128
    detector_epochs: int = 12
    detector_batch: int = 8
    localizer_epochs: int = 25
    shift: float = 1.0  # how far hospital B's films are from A's
    precision: Precision = "auto"


def hospital_a_stage(folder: Path, *, seed: int, size: PhantomSize) -> Path:
    """Hospital A in `folder/hospital_a`, and a detector trained on its boxes: `folder/detector`.

    It is fine-tuned from the package's detector, which knows real chest films: from random weights
    a few hundred films teach too little.

    Raises:
        ConfigError: the folder was made with another seed or size.
    """
    films = hospital_a_films(folder, seed=seed, size=size)
    return train_detector_stage(
        films,
        folder / "detector",
        config=phantom_detector_config(size),
        training=phantom_fine_tuning(size, seed),
        initial=FIRST_BUNDLE,
        device=CPU,
    )


def hospital_a_films(folder: Path, *, seed: int, size: PhantomSize) -> Manifest:
    """Films of hospital A with boxes in `folder/hospital_a`; splits train and val.

    Raises:
        ConfigError: the folder was made with another seed or size.
    """
    return build_phantom(
        folder / "hospital_a",
        PhantomOptions(size=size.film_px, domain="A", seed=seed),
        films=size.films_a,
        shares=SplitShares(val=min(0.25, VALIDATION_FILMS / size.films_a), test=0.0),
    )


def phantom_detector_config(size: PhantomSize) -> DetectorConfig:
    """The package's first detector at the phantom's image size."""
    return read_detector_config(FIRST_BUNDLE).model_copy(update={"image_size": size.model_px})


def phantom_fine_tuning(size: PhantomSize, seed: int) -> DetectorTrainConfig:
    """Settings of the training on hospital A's boxes."""
    lr = 7e-4 * (size.detector_batch / 8) ** 0.5
    return DetectorTrainConfig(
        seed=seed,
        epochs=size.detector_epochs,
        batch_size=size.detector_batch,
        lr=lr,
        lr_backbone=0.7 * lr,
        ema_decay=0.99,
        warmup_steps=20,
        precision=size.precision,
    )


def hospital_b_stage(folder: Path, detector: Path, *, seed: int, size: PhantomSize) -> Manifest:
    """Hospital B in `folder/hospital_b`, its reports mined in `attributes`, word vectors in `words`
    and the regions of `detector` in `rois`.

    Raises:
        ConfigError, CheckpointError: the folder was made with another seed, size or detector.
    """
    films = build_phantom(
        folder / "hospital_b",
        PhantomOptions(size=size.film_px, domain="B", shift=size.shift, seed=seed),
        films=size.films_b,
        shares=SplitShares(val=min(0.2, VALIDATION_FILMS / size.films_b), test=0.25),
    )
    mine_stage(folder / "hospital_b", folder / "attributes")
    options = VectorOptions(dim=64, epochs=30, seed=seed)
    word_vectors_stage(folder / "hospital_b", folder / "words", options)
    propose_stage(detector, films, folder / "rois", device=CPU)
    return films
