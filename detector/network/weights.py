"""Reading and checking weights: safetensors files, named tensors, one checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from data_manifests.support.errors import CheckpointError, raise_if_out_of_memory


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


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        CheckpointError: missing or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise_if_out_of_memory(error)
        raise CheckpointError(f"{path}: expected safetensors weights, got: {error}") from error


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
