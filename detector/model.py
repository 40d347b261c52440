"""`build_detector`: torchvision's RetinaNet for one finding, with anchors for lung opacities."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.retinanet import RetinaNetHead

from data_manifests.support.errors import CheckpointError
from detector.backbones import build_backbone
from detector.config import DetectorConfig

OCTAVE_SCALES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))  # RetinaNet paper, section 4
WEIGHTS = "detector.safetensors"
CONFIG = "detector.json"
SHARD = re.compile(r"detector-(\d{5})-of-(\d{5})\.safetensors")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def build_detector(config: DetectorConfig) -> RetinaNet:
    """A RetinaNet with random weights.

    Input is a list of float (3, H, W) films in [0, 1] whose longer side is `image_size` (see
    `prepare_film`): the model's own resizing then changes nothing. One class, label 0.
    """
    backbone = build_backbone(
        config.backbone, fpn_width=config.fpn_width, pretrained=config.is_pretrained
    )
    anchors = AnchorGenerator(
        sizes=tuple(
            tuple(side * config.image_size * scale for scale in OCTAVE_SCALES)
            for side in config.anchor_sides
        ),
        aspect_ratios=(config.aspect_ratios,) * len(config.anchor_sides),
    )
    head = RetinaNetHead(config.fpn_width, anchors.num_anchors_per_location()[0], num_classes=1)
    # GIoU, as torchvision's RetinaNet v2: it is what the boxes are judged by.
    head.regression_head._loss_type = "giou"
    return RetinaNet(
        backbone,
        num_classes=1,
        min_size=config.image_size,
        max_size=config.image_size,
        image_mean=list(IMAGENET_MEAN),
        image_std=list(IMAGENET_STD),
        anchor_generator=anchors,
        head=head,
        score_thresh=0.0,
        nms_thresh=0.5,
        detections_per_img=100,
        topk_candidates=1000,
    )


def load_detector(folder: Path) -> tuple[RetinaNet, DetectorConfig, str]:
    """A trained detector from a run folder or a model bundle, in evaluation mode.

    Returns the model, its configuration and the SHA-256 of its weights (see `weights_sha256`).

    Raises:
        CheckpointError: files missing or damaged, tensors of another configuration, not finite.
    """
    config = _read_config(folder / CONFIG)
    files = _weight_files(folder)
    tensors: dict[str, Tensor] = {}
    for path in files:
        part = _read_tensors(path)
        for name in part.keys() & tensors.keys():
            raise CheckpointError(f"{path}: tensor {name} is in another file, too")
        tensors.update(part)
    model = build_detector(config)
    _fill(model, tensors, files[0] if len(files) == 1 else folder)
    return model.eval(), config, weights_sha256(tensors)


def weights_sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values, in the order of names.

    The same weights have the same checksum however they are cut into files.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def load_detector_weights(model: RetinaNet, path: Path) -> None:
    """Load a safetensors file into a detector of the same configuration.

    Raises:
        CheckpointError: unreadable, other names, shapes or types, or not finite; names the tensor.
    """
    _fill(model, _read_tensors(path), path)


def _fill(model: RetinaNet, given: dict[str, Tensor], path: Path) -> None:
    check_tensors(given, model.state_dict(), path)
    model.load_state_dict(given)  # copies into float32


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: expected safetensors weights, got: {error}") from error


def _read_config(path: Path) -> DetectorConfig:
    try:
        content = json.loads(path.read_text("utf-8"))
        content.pop("validation", None)
        return DetectorConfig.model_validate(content)
    except FileNotFoundError as error:
        got = f"no {CONFIG}" if path.parent.is_dir() else "no such folder"
        raise CheckpointError(
            f"{path.parent}: expected a trained detector, got {got}; give a folder that "
            "`pneumoloc detector train` or `bundle make` has filled"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(f"{path}, field {name}: {first['msg']}") from error
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path}: expected a detector's settings, got {error}") from error


def _weight_files(folder: Path) -> list[Path]:
    """`detector.safetensors`, or all of its shards."""
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    shards = sorted(path for path in folder.iterdir() if SHARD.fullmatch(path.name))
    if not shards:
        raise CheckpointError(f"{folder}: expected {WEIGHTS}, got no such file")
    count = int(shards[0].stem[-5:])
    expected = [
        f"detector-{number:05d}-of-{count:05d}.safetensors" for number in range(1, count + 1)
    ]
    found = [path.name for path in shards]
    if found != expected:
        odd = sorted(set(expected) ^ set(found))
        raise CheckpointError(
            f"{folder}: expected {count} shards of the weights, missing or too many: "
            f"{', '.join(odd[:5])}"
        )
    return shards


def check_tensors(given: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights with other names, shapes or kinds of numbers, or that are not finite.

    Raises:
        CheckpointError: naming the first such tensor.
    """
    for name in sorted(expected.keys() ^ given.keys()):
        side = "is missing" if name in expected else "is unknown here"
        raise CheckpointError(
            f"{path}: tensor {name} {side}; is this another configuration's file?"
        )
    for name, tensor in given.items():
        if tensor.shape != expected[name].shape:
            raise CheckpointError(
                f"{path}: tensor {name} must have shape {tuple(expected[name].shape)}, "
                f"but got shape {tuple(tensor.shape)}"
            )
        wanted = expected[name]  # of floating-point numbers half precision will do
        are_real = tensor.is_floating_point() and wanted.is_floating_point()
        if tensor.dtype != wanted.dtype and not are_real:
            raise CheckpointError(
                f"{path}: tensor {name} must be of type {expected[name].dtype}, "
                f"but got {tensor.dtype}"
            )
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise CheckpointError(f"{path}: tensor {name} has values that are not finite")
