"""Detector training under torchrun: one process beside two, one thread each, the same batch.

`python -m experiments.benchmark.scaling` is what each process runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from data_manifests.support.errors import TrainingStopped
from detector.config import DetectorConfig, DetectorTrainConfig
from detector.dataset import TrainingFilm
from detector.network.model import build_detector
from detector.optimization import build_optimizer, training_memory_format, training_step
from detector.run.processes import process_group
from experiments.benchmark.rows import BenchmarkRow, seconds_of
from experiments.benchmark.sizes import Bench

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 600


def scaling_rows(bench: Bench) -> Iterator[BenchmarkRow]:
    """Films a second of two processes over those of one."""
    size = bench.size
    config = size.detector.model_copy(update={"image_size": size.train_px})
    one, two = (
        _films_per_second(config, size.train_batch, bench.runs, number) for number in (1, 2)
    )
    yield BenchmarkRow(
        name="detector_two_processes",
        group="scaling",
        what=f"training steps under torchrun, two processes of one thread, {config.backbone}, "
        f"{size.train_px} px, batch {size.train_batch} in all, films in memory",
        ours=two,
        baseline=one,
        baseline_is="one process of one thread; perfect is 2",
        unit="films/s",
        runs=bench.runs,
        detail={"cores": float(os.cpu_count() or 0)},
    )


def _films_per_second(config: DetectorConfig, batch: int, runs: int, processes: int) -> float:
    asked = {"config": config.model_dump(mode="json"), "batch": batch, "runs": runs}
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    done = subprocess.run(  # noqa: S603 - this very module
        [sys.executable, "-m", *torchrun, "-m", __name__, json.dumps(asked)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    if done.returncode != 0:
        raise TrainingStopped(f"torchrun with {processes} processes: {done.stderr[-500:]}")
    return float(done.stdout.strip().splitlines()[-1])


def _run(asked: str) -> None:
    """Train on noise in this process's share of the batch; the first process prints films/s."""
    settings = json.loads(asked)
    config = DetectorConfig.model_validate(settings["config"])
    training = DetectorTrainConfig(batch_size=settings["batch"])
    with process_group(CPU) as process:
        torch.manual_seed(0)
        model = build_detector(config).train()
        model = model.to(memory_format=training_memory_format(model, CPU))
        parallel: nn.Module = model
        if process.world_size > 1:
            parallel = DistributedDataParallel(model)
        optimizer = build_optimizer(model, training)
        share = max(1, training.batch_size // process.world_size)
        side = config.image_size
        film = TrainingFilm(
            torch.rand(3, side, side),
            torch.tensor([[0.2, 0.2, 0.6, 0.7]]) * side,
            "noise",
        )

        def step() -> None:
            training_step(
                parallel,
                optimizer,
                [[film] * share],
                films=share,
                rate=1e-3,
                training=training,
                device=CPU,
            )

        step()
        seconds = median(seconds_of(step) for _ in range(settings["runs"]))
        if process.rank == 0:
            sys.stdout.write(f"{share * process.world_size / seconds}\n")


if __name__ == "__main__":
    _run(sys.argv[1])
