"""One epoch of a gate on the maps of the paper's pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from detector.config import DetectorConfig
from detector.film_maps import CANDIDATES, LOWEST, FilmMaps
from detector.network.model import build_detector
from experiments.benchmark.attention import epoch_row
from experiments.benchmark.peak import in_process
from experiments.benchmark.rows import BenchmarkRow
from experiments.benchmark.sizes import Bench, BenchmarkSize
from localize.network.gate import Gate
from localize.training.train_gate import GateTargets, GateTraining, train_gate

FILM_PX, STRIDES = 128, (8, 16, 32, 64, 128)  # the controlled experiment's films
ANCHORS_A_CELL = 9
BATCH, WIDTH = 64, 128
CPU = torch.device("cpu")


def gate_rows(bench: Bench) -> Iterator[BenchmarkRow]:
    """Seconds and memory of an epoch in a new process; the maps are mapped from disk."""
    maps = bench.work / "maps.npy"
    write_random_maps(maps, bench.size)
    cost = in_process(partial(train_gate_epoch, maps, bench.size), bench.runs)
    yield epoch_row(
        "gate_epoch_11308",
        "gates",
        f"one epoch of a gate on {bench.size.pairs} films of {FILM_PX} px, from their maps; "
        "processor seconds",
        replace(cost, seconds=cost.processor_seconds),
        runs=bench.runs,
        detail={"wall_s": cost.seconds, "maps_mib": maps.stat().st_size / 2**20},
    )


def write_random_maps(path: Path, size: BenchmarkSize) -> None:
    """Maps (pairs, cells, D) float16 of noise."""
    shape = (size.pairs, _cells(), WIDTH)
    maps = np.lib.format.open_memmap(path, "w+", np.float16, shape)
    noise = np.random.default_rng(0).standard_normal((1, *shape[1:])).astype(np.float16)
    for start in range(0, len(maps), 500):
        maps[start : start + 500] = noise
    maps.flush()


def random_film_maps(maps: Path, size: BenchmarkSize) -> FilmMaps:
    """The maps of `write_random_maps` with random candidates."""
    random, films = np.random.default_rng(1), size.pairs
    corner = random.random((films, CANDIDATES + LOWEST, 2), np.float32) * FILM_PX / 2
    boxes = np.concatenate([corner, corner + FILM_PX / 4], axis=2)
    anchors = random.integers(_cells() * ANCHORS_A_CELL, size=boxes.shape[:2], dtype=np.int32)
    return FilmMaps(
        image_ids=tuple(f"film {row}" for row in range(films)),
        level_shapes=tuple((FILM_PX // stride, FILM_PX // stride) for stride in STRIDES),
        detector_sha256="0" * 64,
        maps=np.load(maps, mmap_mode="r"),
        anchors=anchors[:, :CANDIDATES],
        boxes=boxes[:, :CANDIDATES],
        logits=-3 * random.random((films, CANDIDATES), np.float32),
        lowest_anchors=anchors[:, CANDIDATES:],
        lowest_boxes=boxes[:, CANDIDATES:],
        sizes=np.full((films, 2), FILM_PX, np.float32),
    )


def train_gate_epoch(maps: Path, size: BenchmarkSize) -> None:
    """`train_gate` for one epoch on targets of noise."""
    config = DetectorConfig(backbone="resnet18", fpn_width=WIDTH, image_size=FILM_PX)
    films = random_film_maps(maps, size)
    values = (films.logits > -0.3).astype(np.float32)
    targets = GateTargets(np.arange(size.pairs), values, np.ones_like(values))
    training = GateTraining(epochs=1, batch_size=min(BATCH, size.pairs))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        gate = Gate.of_detector(build_detector(config))
    train_gate(gate, films, targets, training, CPU)


def _cells() -> int:
    return sum((FILM_PX // stride) ** 2 for stride in STRIDES)
