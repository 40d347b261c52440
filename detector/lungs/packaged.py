"""The lung network that comes with the package: its files, their checks, and how they are made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pydantic import ValidationError
from safetensors.torch import save

from data_manifests.films.read_film import read_film
from data_manifests.phantom.case import PhantomOptions, make_case
from data_manifests.support.atomic import atomic_path, write_bytes, write_json
from data_manifests.support.errors import CheckpointError
from detector.lungs.config import LungNetworkConfig
from detector.lungs.network import build_lung_network
from detector.lungs.segment import LungSegmenter
from detector.network.weights import check_tensors, read_tensors, weights_sha256

PACKAGED = Path(__file__).parent / "weights"
WEIGHTS, DESCRIPTION = "lungs.safetensors", "lungs.json"
GOLDEN_FILM, GOLDEN_LABELS = "golden.png", "golden_labels.png"
GOLDEN_CASE = PhantomOptions(size=256, seed=12)
FORMAT_VERSION = 1
# Share of the golden film's pixels that may have another label: other processors add up
# convolutions in another order, which moves a border by less than a pixel.
GOLDEN_TOLERANCE = 0.005


@dataclass(frozen=True)
class LungDescription:
    """`lungs.json`: the network, the checksum of its weights (see `weights_sha256`), how it was
    trained and its scores in validation."""

    network: LungNetworkConfig
    sha256: str
    training: Mapping[str, Any]  # Any: what JSON can hold
    validation: Mapping[str, Any]


def load_segmenter(folder: Path = PACKAGED, device: torch.device | None = None) -> LungSegmenter:
    """The lung network of a folder, the package's by default, on a device, the CPU by default.

    Raises:
        CheckpointError: files missing or damaged, or weights of another checksum.
    """
    description = read_description(folder)
    tensors = read_tensors(folder / WEIGHTS)
    if (got := weights_sha256(tensors)) != description.sha256:
        raise CheckpointError(
            f"{folder / WEIGHTS}: expected weights with checksum {description.sha256[:16]}..., got "
            f"{got[:16]}...; the file was changed: install it anew"
        )
    network = build_lung_network(description.network)
    check_tensors(tensors, network.state_dict(), folder / WEIGHTS)
    network.load_state_dict(tensors)  # copies into float32
    return LungSegmenter(network, description.network, device or torch.device("cpu"))


def read_description(folder: Path) -> LungDescription:
    """The content of `lungs.json`.

    Raises:
        CheckpointError: missing or damaged.
    """
    path = folder / DESCRIPTION
    try:
        content = json.loads(path.read_text("utf-8"))
        if content["format_version"] != FORMAT_VERSION:
            raise CheckpointError(
                f"{path}: expected format_version {FORMAT_VERSION}, got "
                f"{content['format_version']!r}; update the package"
            )
        return LungDescription(
            LungNetworkConfig.model_validate(content["network"]),
            str(content["sha256"]),
            dict(content["training"]),
            dict(content["validation"]),
        )
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise CheckpointError(
            f"{path}: expected the description of a lung network, got {error!r}; give a folder "
            "that `pneumoloc experiment lungs pack` has written"
        ) from error


def pack_lungs(run: Path, out: Path) -> Path:
    """Write the weights of a training run, in half precision, with their golden film.

    Raises:
        CheckpointError: the run has no weights.
    """
    trained = read_tensors(run / WEIGHTS)
    tensors = {name: tensor.half().contiguous() for name, tensor in trained.items()}
    config, result = (
        json.loads((run / name).read_text("utf-8")) for name in ("run.json", DESCRIPTION)
    )
    write_bytes(out / WEIGHTS, save(tensors))
    write_json(
        out / DESCRIPTION,
        {
            "format_version": FORMAT_VERSION,
            "network": config["network"],
            "sha256": weights_sha256(tensors),
            "training": {**config["training"], **config["data"]},
            "validation": result["validation"],
        },
    )
    film = Image.fromarray(make_case(GOLDEN_CASE, 0).pixels)
    with atomic_path(out / GOLDEN_FILM) as aside:
        film.save(aside)
    labels = load_segmenter(out).fields(read_film(out / GOLDEN_FILM).pixels).labels
    with atomic_path(out / GOLDEN_LABELS) as aside:
        Image.fromarray(labels).save(aside)
    return out


def check_golden_lungs(folder: Path = PACKAGED) -> float:
    """Segment the golden film again; returns the share of pixels with another label.

    Raises:
        CheckpointError: it is more than GOLDEN_TOLERANCE.
    """
    with Image.open(folder / GOLDEN_LABELS, formats=("PNG",)) as image:
        stored = np.asarray(image, np.uint8)
    found = load_segmenter(folder).fields(read_film(folder / GOLDEN_FILM).pixels).labels
    share = float((found != stored).mean()) if found.shape == stored.shape else 1.0
    if share > GOLDEN_TOLERANCE:
        raise CheckpointError(
            f"{folder / GOLDEN_LABELS}: expected the stored labels, got others on {share:.2%} of "
            "the pixels; torch or the processor computes differently: lung fields cannot be "
            "trusted here"
        )
    return share
