"""`process_group`: this process's rank among those that torchrun started."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from typing import TypeVar

import torch
from torch import distributed

Scores = TypeVar("Scores")


@dataclass(frozen=True)
class ProcessRank:
    """Process `rank` of `world_size`; rank 0 validates and writes."""

    rank: int
    world_size: int


@contextmanager
def process_group(device: torch.device) -> Iterator[ProcessRank]:
    """Join torchrun's process group for the time of a training; without torchrun rank 0 of 1."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ProcessRank(0, 1)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield ProcessRank(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def broadcast_scores(
    scores: Scores | None, kind: type[Scores], process: ProcessRank, device: torch.device
) -> Scores | None:
    """The scores of rank 0 (or its None) on all ranks, so that all take the same branch.

    If each rank validated for itself, a difference in the last bit could stop one of them and leave
    the others waiting. `kind` is a dataclass whose fields are all float or None.
    """
    if process.world_size == 1:
        return scores
    count = len(fields(kind))  # type: ignore[arg-type] # a dataclass, as the docstring says
    values = torch.full((count + 1,), math.nan, dtype=torch.float64, device=device)
    if scores is not None:
        values[0] = 1.0
        for position, number in enumerate(astuple(scores), start=1):  # type: ignore[call-overload] # likewise
            values[position] = math.nan if number is None else number
    distributed.broadcast(values, src=0)
    is_there, *numbers = values.tolist()
    if math.isnan(is_there):
        return None
    return kind(*(None if math.isnan(number) else number for number in numbers))
