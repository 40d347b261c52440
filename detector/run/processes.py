"""`process_group`: this process's place among those that torchrun started."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
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
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Place(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def broadcast_numbers(
    numbers: Sequence[float | None] | None, count: int, place: Place, device: torch.device
) -> list[float | None] | None:
    """The first process's `count` numbers (or its None), told to all: they decide alike.

    Where each computed for itself, a last bit could stop one and leave the others waiting.
    """
    if place.world_size == 1:
        return None if numbers is None else list(numbers)
    values = torch.full((count + 1,), math.nan, dtype=torch.float64, device=device)
    if numbers is not None:
        values[0] = 1.0
        for position, number in enumerate(numbers, start=1):
            values[position] = math.nan if number is None else number
    distributed.broadcast(values, src=0)
    told: list[float] = values.tolist()
    if math.isnan(told[0]):
        return None
    return [None if math.isnan(number) else number for number in told[1:]]
