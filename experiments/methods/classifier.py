"""`FilmClassifier`: a convolutional body, global average pooling and one linear unit.

With nothing between the pooled maps and the logit a class activation map is exact (Zhou 2016).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models.detection.backbone_utils import BackboneWithFPN

from data_manifests.support.atomic import atomic_path
from data_manifests.support.errors import CheckpointError, DataError
from data_manifests.tables.manifest import Manifest
from detector.config import Fraction, Frozen, NotNegative
from detector.network.backbones import BackboneName, build_backbone
from detector.network.model import IMAGENET_MEAN, IMAGENET_STD

MAP_OF_STRIDE = {16: "1", 32: "2"}  # of `build_backbone`
WEIGHTS = "classifier.safetensors"


class ClassifierConfig(Frozen):
    """The network."""

    backbone: BackboneName = Field("resnet50", description="the paper's; lite0 trains on a CPU")
    image_size: int = Field(512, ge=64, le=2048, description="side of the padded square film, px")
    map_stride: Literal[16, 32] = Field(
        32, description="16 leaves the last stage out, so that maps of small films are not 4 x 4"
    )
    is_pretrained: bool = Field(False, description="built for ImageNet weights")


class ClassifierTrainConfig(Frozen):
    """Training of the network; the epoch with the highest validation AUC is saved."""

    seed: int = Field(0, ge=0)
    epochs: int = Field(12, ge=1)
    batch_size: int = Field(16, ge=1)
    epoch_films: int | None = Field(None, ge=1, description="films drawn an epoch; default: all")
    boxed_share: Fraction | None = Field(None, description="share of films with boxes in an epoch")
    source_weights: dict[str, NotNegative] = Field(default_factory=dict)
    lr: float = Field(3e-4, gt=0, description="AdamW")
    weight_decay: float = Field(1e-2, ge=0)
    warmup_steps: int = Field(20, ge=0)
    patience: int = Field(4, ge=1, description="epochs without a better validation AUC")


class ClassifierSettings(Frozen):
    """Network and training of the classifier."""

    classifier: ClassifierConfig = ClassifierConfig()
    training: ClassifierTrainConfig = ClassifierTrainConfig()

    def with_seed(self, seed: int) -> ClassifierSettings:
        """The settings of one training."""
        return self.model_copy(update={"training": self.training.model_copy(update={"seed": seed})})

    def with_pretrained(self, is_pretrained: bool) -> ClassifierSettings:
        """The settings of a network that is built for ImageNet weights, or not."""
        network = self.classifier.model_copy(update={"is_pretrained": is_pretrained})
        return self.model_copy(update={"classifier": network})


class FilmClassifier(nn.Module):
    """P(opacity) of a film. `body` gives the last maps, on which both kinds of heat map rest."""

    mean: Tensor
    std: Tensor

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None])
        self.body = body
        self.head = nn.Linear(width, 1)

    def maps(self, images: Tensor) -> Tensor:
        """The last maps (B, D, h, w) of films (B, 3, S, S) in [0, 1]."""
        found: Tensor = self.body((images - self.mean) / self.std)
        return found

    def logits(self, maps: Tensor) -> Tensor:
        """Logits (B, 1) of maps (B, D, h, w)."""
        found: Tensor = self.head(maps.mean(dim=(2, 3)))
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, 1) of films (B, 3, S, S) in [0, 1]."""
        return self.logits(self.maps(images))


class _OneMap(nn.Module):
    """The body of a detector's backbone, giving one of its maps."""

    def __init__(self, body: nn.Module, name: str) -> None:
        super().__init__()
        self.body = body
        self.name = name

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.body(images)[self.name]
        return found


def build_classifier(config: ClassifierConfig) -> tuple[FilmClassifier, BackboneWithFPN]:
    """A classifier with random weights, and the backbone whose body it shares.

    ImageNet weights are loaded into the backbone (`load_backbone_weights`).
    """
    backbone = build_backbone(config.backbone, fpn_width=8, pretrained=config.is_pretrained)
    name = MAP_OF_STRIDE[config.map_stride]
    with torch.no_grad():
        width = backbone.body(torch.zeros(1, 3, 64, 64))[name].shape[1]
    return FilmClassifier(_OneMap(backbone.body, name), width), backbone


def write_classifier(model: FilmClassifier, folder: Path) -> None:
    """Write the weights."""
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary)


def load_classifier(folder: Path, config: ClassifierConfig) -> FilmClassifier:
    """A trained classifier in evaluation mode.

    Raises:
        CheckpointError: no such file, or tensors of another configuration.
    """
    model, _ = build_classifier(config)
    try:
        model.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"{folder / WEIGHTS}: expected weights of a {config.backbone} classifier, got {error}"
        ) from error
    return model.eval()


def square_films(images: list[Tensor], side: int) -> Tensor:
    """Films (3, h, w) with sides up to `side`, padded with zeros right and below; (B, 3, S, S)."""
    squares = images[0].new_zeros(len(images), 3, side, side)
    for square, image in zip(squares, images, strict=True):
        square[:, : image.shape[1], : image.shape[2]] = image
    return squares


def film_labels(manifest: Manifest) -> NDArray[np.float64]:
    """1 opacity, 0 none, NaN not known, for each film; (I,).

    A film with a box is 1; else `labels.pneumonia` says it; without that column a film without a
    box is 0.

    Raises:
        DataError: a label that is not 0, 1 or blank.
    """
    has_boxes = manifest.images["image_id"].isin(set(manifest.boxes["image_id"])).to_numpy(bool)
    if "pneumonia" not in manifest.labels:
        return has_boxes.astype(np.float64)
    table = manifest.labels.drop_duplicates("image_id").set_index("image_id")["pneumonia"]
    given = table.reindex(manifest.images["image_id"])
    values = np.array([_number(value) for value in given], np.float64)
    if (np.isfinite(values) & ~np.isin(values, (0, 1))).any():
        raise DataError("labels.csv, field pneumonia: expected 0, 1 or blank, got another number")
    labels: NDArray[np.float64] = np.where(has_boxes, 1.0, values)
    return labels


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return float("nan")
