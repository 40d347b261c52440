"""`train_from_config`: build the detector of a configuration and train it, as `detector train`."""

from __future__ import annotations

from pathlib import Path

import torch

from data_manifests.support.atomic import file_sha256
from data_manifests.support.errors import CheckpointError, ConfigError
from detector.boxed_films import BoxedFilms
from detector.config import DetectorConfig, DetectorTrainConfig
from detector.detector import load_detector
from detector.network.backbones import load_backbone_weights
from detector.network.model import build_detector
from detector.train import DetectorTraining, train_detector


def train_from_config(
    films: BoxedFilms,
    out: Path,
    *,
    config: DetectorConfig,
    training: DetectorTrainConfig,
    backbone_weights: Path | None = None,
    initial: Path | None = None,
    device: torch.device,
) -> DetectorTraining:
    """Train a detector from random weights, a backbone's weights, or a trained detector.

    `backbone_weights` is a file for the body. `initial` (fine-tuning) is a run folder or bundle of
    the same configuration; only its `image_size` may differ.

    Raises:
        ConfigError: both are given, or `initial` has another configuration.
        CheckpointError: weights that are missing or do not fit.
        DataError, Interrupted, TrainingStopped, FloatingPointError: see `train_detector`.
    """
    if backbone_weights is not None and initial is not None:
        raise ConfigError("expected backbone weights or an initial detector, got both")
    if backbone_weights is not None and not backbone_weights.is_file():
        raise CheckpointError(f"{backbone_weights}: expected backbone weights, got no such file")
    start = None if initial is None else load_detector(initial)
    is_pretrained = backbone_weights is not None if start is None else start.config.is_pretrained
    config = config.model_copy(update={"is_pretrained": is_pretrained})
    if start is not None:
        _check_same_network(initial, start.config, config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)  # the initial weights
        model = build_detector(config)
    if backbone_weights is not None:
        load_backbone_weights(model.backbone, backbone_weights)
    if start is not None:
        model.load_state_dict(start.model.state_dict())
    return train_detector(
        model,
        films,
        out,
        image_size=config.image_size,
        training=training,
        device=device,
        description=config.model_dump(mode="json"),
        initial={
            "backbone_sha256": None if backbone_weights is None else file_sha256(backbone_weights),
            "initial_sha256": None if start is None else start.sha256,
        },
    )


def _check_same_network(
    initial: Path | None, start: DetectorConfig, config: DetectorConfig
) -> None:
    different = [
        name
        for name in DetectorConfig.model_fields
        if name != "image_size" and getattr(start, name) != getattr(config, name)
    ]
    if different:
        raise ConfigError(
            f"{initial}: expected a detector of the given configuration, got another "
            f"{', '.join(different)}; leave out the detector settings, but for image_size"
        )
