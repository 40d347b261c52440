"""The detector's convolutions in 8-bit integers (ONNX Runtime, static quantisation) beside PyTorch.

A candidate, not an engine of `predict`: how boxes change on real films is not measured here.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from detector.network.core import fast_copy, torch_core
from detector.network.onnx_core import NEEDED, export_graph
from detector.network.torchvision_parts import RetinaNet
from experiments.benchmark.films import benchmark_bundle, phantom_films
from experiments.benchmark.prediction import prepared_images
from experiments.benchmark.rows import BenchmarkRow, alternately
from experiments.benchmark.sizes import Bench
from localize.bundle.bundle import load_bundle
from localize.inference.film_list import manifest_films

CALIBRATION_FILMS = 16


def int8_rows(bench: Bench) -> Iterator[BenchmarkRow]:
    """One film at a time; nothing where the extra `onnx` is not installed."""
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        return
    bundle = load_bundle(benchmark_bundle(bench))
    films = manifest_films(phantom_films(bench))[: CALIBRATION_FILMS + 1]
    images = prepared_images(films, bundle.detector_config.image_size)
    with torch.inference_mode():
        pixels = [bundle.detector.transform([image])[0].tensors for image in images]
        calibration, film = pixels[:-1], pixels[-1]
        session = int8_session(bundle.detector, calibration, bench.work / "int8")
        exact = torch_core(bundle.detector)
        logits = exact(film).logits
        names = [output.name for output in session.get_outputs()]
        # As `_Flat` of onnx_core orders them: pyramid, towers, logits, deltas.
        first = 2 * len(logits)
        rounded = session.run(names[first : first + len(logits)], {"pixels": film.numpy()})
        ours, baseline = alternately(
            [lambda: session.run(None, {"pixels": film.numpy()}), lambda: exact(film)],
            bench.runs,
        )
    change = max(
        float(np.abs(one.numpy() - other).max()) for one, other in zip(logits, rounded, strict=True)
    )
    yield BenchmarkRow(
        name="int8_vs_torch",
        group="int8",
        what="convolutions of one film in 8-bit integers, ONNX Runtime",
        ours=1e3 * ours,
        baseline=1e3 * baseline,
        baseline_is="the same in PyTorch as `predict` runs it, float32",
        ratio_is="baseline / ours",
        unit="ms/film",
        runs=bench.runs,
        detail={"threads": torch.get_num_threads(), "largest change of a logit": change},
    )


def int8_session(model: RetinaNet, films: list[Tensor], folder: Path) -> Any:  # Any: no stubs
    """An ONNX Runtime session of the network, activations calibrated on `films` (1, 3, H, W)."""
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Films(CalibrationDataReader):  # type: ignore[misc] # no stubs
        def __init__(self) -> None:
            self.films = iter(films)

        def get_next(self) -> dict[str, object] | None:
            film = next(self.films, None)
            return None if film is None else {"pixels": film.numpy()}

    folder.mkdir()
    whole, shaped, small = (folder / name for name in ("whole.onnx", "shaped.onnx", "int8.onnx"))
    whole.write_bytes(export_graph(fast_copy(model), films[0]))
    quant_pre_process(str(whole), str(shaped))
    quantize_static(
        str(shaped),
        str(small),
        Films(),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(str(small), options, providers=["CPUExecutionProvider"])
