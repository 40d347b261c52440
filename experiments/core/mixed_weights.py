"""`mixed_detector`: the weighted mean of the weights of detectors that were trained from one start.

Fine-tuning on new films makes a detector forget some of what the old ones taught; the mean of the
weights before and after keeps most of both (Wortsman et al. 2022, WiSE-FT and model soups).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from data_manifests.support.atomic import write_json
from data_manifests.support.errors import CheckpointError, ConfigError
from detector.config import DetectorConfig
from detector.detector import CONFIG, WEIGHTS, Detector, load_detector
from detector.network.model import build_detector
from detector.network.weights import check_tensors, weights_sha256

METADATA = "detector.json"  # where `experiment boxes train` keeps a detector's settings


def read_detector(path: Path) -> Detector:
    """A detector from a run folder, a bundle, or a file that `experiment boxes train` wrote.

    Raises:
        CheckpointError: not one of these, or damaged.
    """
    if path.is_dir():
        return load_detector(path)
    try:
        with safe_open(path, "pt") as file:
            content = json.loads(file.metadata()[METADATA])
        tensors = load_file(path)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: expected a folder with a detector, or weights of `experiment boxes train`, "
            f"got {error}"
        ) from error
    content.pop("validation", None)
    config = DetectorConfig.model_validate(content)
    model = build_detector(config)
    check_tensors(tensors, model.state_dict(), path)
    model.load_state_dict(tensors)
    return Detector(model.eval(), config, weights_sha256(tensors))


def mixed_detector(parts: Mapping[Path, float]) -> Detector:
    """The mean of the parts' weights; its settings are those of the first part.

    Raises:
        ConfigError: shares that do not add up to 1, or detectors of another configuration (only
            `image_size` may differ).
    """
    if not parts or abs(sum(parts.values()) - 1) > 1e-6:
        raise ConfigError(
            f"--part: expected shares that add up to 1, got {sum(parts.values()):.4f}"
        )
    detectors = [read_detector(path) for path in parts]
    first = detectors[0].config
    for path, one in zip(parts, detectors, strict=True):
        if one.config.model_copy(update={"image_size": first.image_size}) != first:
            raise ConfigError(
                f"{path}: expected the configuration of {next(iter(parts))}, got another; only "
                "detectors that were trained from the same start can be mixed"
            )
    states = [one.model.state_dict() for one in detectors]
    shares = list(parts.values())
    mixed = {name: _mean([state[name] for state in states], shares) for name in states[0]}
    model = build_detector(first)
    model.load_state_dict(mixed)
    return Detector(model.eval(), first, weights_sha256(mixed))


def _mean(tensors: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """The weighted mean; of whole numbers (counters) the first."""
    first = tensors[0]
    if not first.is_floating_point():
        return first
    total = torch.zeros_like(first, dtype=torch.float64)
    for tensor, share in zip(tensors, shares, strict=True):
        total += share * tensor.double()
    return total.to(first.dtype)


def write_detector(detector: Detector, folder: Path) -> None:
    """Write `detector.safetensors` (float16) and `detector.json` as a run folder has them."""
    folder.mkdir(parents=True, exist_ok=True)
    half = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in detector.model.state_dict().items()
    }
    for name, tensor in half.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise CheckpointError(f"{folder}, tensor {name}: too large for float16")
    save_file(half, folder / WEIGHTS)
    # Not validated by a training: the names are those of `ValidationScores`.
    validation = {"ap_25": None, "ap_50": None, "selection": None}
    write_json(
        folder / CONFIG, {**detector.config.model_dump(mode="json"), "validation": validation}
    )
