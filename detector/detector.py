"""`load_detector`: a trained detector from a run folder or a model bundle."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from torch import Tensor

from data_manifests.support.errors import CheckpointError
from detector.config import DetectorConfig
from detector.network.model import build_detector
from detector.network.torchvision_parts import RetinaNet
from detector.network.weights import check_tensors, read_tensors, weights_sha256

WEIGHTS = "detector.safetensors"
CONFIG = "detector.json"
SHARD = re.compile(r"detector-(\d{5})-of-(\d{5})\.safetensors")


@dataclass(frozen=True)
class Detector:
    """A trained detector: its network in evaluation mode, its configuration, and the checksum of
    its weights (see `weights_sha256`)."""

    model: RetinaNet
    config: DetectorConfig
    sha256: str


def load_detector(folder: Path) -> Detector:
    """A trained detector from a run folder or a model bundle.

    Raises:
        CheckpointError: files missing or damaged, tensors of another configuration, not finite.
    """
    config = read_detector_config(folder)
    files = _weight_files(folder)
    tensors: dict[str, Tensor] = {}
    for path in files:
        part = read_tensors(path)
        for name in part.keys() & tensors.keys():
            raise CheckpointError(f"{path}: expected tensor {name} in one file, got it in two")
        tensors.update(part)
    model = build_detector(config)
    check_tensors(tensors, model.state_dict(), files[0] if len(files) == 1 else folder)
    model.load_state_dict(tensors)  # copies into float32
    return Detector(model.eval(), config, weights_sha256(tensors))


def read_detector_config(folder: Path) -> DetectorConfig:
    """The configuration of a trained detector in a run folder or a model bundle.

    Raises:
        CheckpointError: missing, damaged or of another program.
    """
    path = folder / CONFIG
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
