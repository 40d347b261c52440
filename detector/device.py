"""`choose_device`: the device a user asked for."""

from __future__ import annotations

import os

import torch

from data_manifests.errors import ConfigError


def choose_device(name: str) -> torch.device:
    """`auto` is the GPU where there is one, else the CPU; under torchrun each process has its own.

    Raises:
        ConfigError: another name, or `cuda` without a usable GPU.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--device: expected auto, cpu or cuda, got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device: expected a CUDA GPU, but torch finds none; use --device cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
