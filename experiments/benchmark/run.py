"""`run_benchmark`: groups of measurements, one after the other."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence

from data_manifests.support.errors import ConfigError
from experiments.benchmark.attention import attention_rows
from experiments.benchmark.evaluation import evaluation_rows
from experiments.benchmark.gates import gate_rows
from experiments.benchmark.int8 import int8_rows
from experiments.benchmark.large_tables import large_table_rows
from experiments.benchmark.prediction import onnx_rows, predict_rows
from experiments.benchmark.rois import store_rows
from experiments.benchmark.rows import BenchmarkRow
from experiments.benchmark.scaling import scaling_rows
from experiments.benchmark.sizes import Bench
from experiments.benchmark.start_up import start_up_rows
from experiments.benchmark.structuring import structuring_rows
from experiments.benchmark.tables import check_rows, export_million_rows, export_rows
from experiments.benchmark.training import detector_rows
from experiments.benchmark.volumes import volume_rows

GROUPS: dict[str, Callable[[Bench], Iterator[BenchmarkRow]]] = {
    "start": start_up_rows,
    "predict": predict_rows,
    "onnx": onnx_rows,
    "int8": int8_rows,
    "attention": attention_rows,
    "gates": gate_rows,
    "detector": detector_rows,
    "scaling": scaling_rows,
    "rois": store_rows,
    "evaluate": evaluation_rows,
    "attributes": structuring_rows,
    "check": check_rows,
    "export": export_rows,
    "export_1e6": export_million_rows,
    "large": large_table_rows,
    "volumes": volume_rows,
}


def choose_groups(only: Sequence[str]) -> list[str]:
    """The groups asked for, in order; all where none is named.

    Raises:
        ConfigError: a name that is none.
    """
    unknown = [name for name in only if name not in GROUPS]
    if unknown:
        raise ConfigError(f"--only: expected some of {', '.join(GROUPS)}, got {unknown[0]!r}")
    return [name for name in GROUPS if name in only or not only]


def run_benchmark(bench: Bench, groups: Sequence[str]) -> Iterator[BenchmarkRow]:
    """Rows as they are measured. A group's files in the work folder are removed after it, except
    films and bundle, which several groups use."""
    for name in groups:
        yield from GROUPS[name](bench)
        for path in bench.work.iterdir():
            if path.name not in ("films", "bundle"):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
