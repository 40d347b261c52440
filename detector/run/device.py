"""`choose_device`: the device a user asked for; and what its arithmetic is good at."""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path

import torch

from data_manifests.support.errors import ConfigError

logger = logging.getLogger(__name__)

CPU_INFO = Path("/proc/cpuinfo")
# As Linux writes them. ARM's are left out: bfloat16 was not measured there.
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


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


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device is quick with bfloat16: any GPU; of CPUs those with AVX-512 bf16 or AMX.

    Without such instructions torch computes bfloat16 all the same, ten times slower than float32.
    """
    return device.type == "cuda" or not BFLOAT16_FLAGS.isdisjoint(_cpu_words(CPU_INFO))


def warn_of_slow_bfloat16(device: torch.device) -> None:
    """Tell who asked for bfloat16 that float32 would be quicker, where it would."""
    if not has_bfloat16(device):
        logger.warning(
            "precision bfloat16: this CPU has neither AVX-512 bf16 nor AMX; float32 is much faster"
        )


@cache
def _cpu_words(file: Path) -> frozenset[str]:
    try:
        return frozenset(file.read_text(encoding="utf-8", errors="replace").split())
    except OSError:  # not Linux
        return frozenset()
