"""`process_group`: this process's place among those that torchrun started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed


@dataclass(frozen=True)
class Place:
    """Process `rank` of `world_size`; rank 0 writes."""

    rank: int
    world_size: int


@contextmanager
def process_group(device: torch.device) -> Iterator[Place]:
    """Join torchrun's process group for the time of a training, or stand alone without torchrun."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Place(0, 1)
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Place(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
