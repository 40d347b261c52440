"""`onnx_core`: the convolutions of a detector in ONNX Runtime; everything after them stays ours.

The graph is exported from the loaded weights at each start and kept in memory only: there is no
file that could be changed or fall out of step with its bundle.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from data_manifests.support.errors import ConfigError
from data_manifests.support.temporary import temporary_folder
from detector.network.core import Core, DetectorMaps, run_detector
from detector.network.torchvision_parts import RetinaNet

LEVELS = 5
NEEDED = ("onnx", "onnxruntime", "onnxscript")


class _Flat(nn.Module):
    """All maps as one tuple, as a graph gives them."""

    def __init__(self, model: RetinaNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        maps = run_detector(self.model, pixels)
        return (*maps.pyramid, *maps.towers, *maps.logits, *maps.deltas)


def onnx_core(model: RetinaNet) -> Core:
    """The detector's convolutions in ONNX Runtime on the CPU, with as many threads as torch.

    A graph is made for each size of films that comes, for any number of films: a few seconds each.

    Raises:
        ConfigError: the `onnx` extra is not installed, or the detector is not on the CPU.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"--engine onnx: expected the packages {', '.join(NEEDED)}, got no "
            f"{', '.join(missing)}; pip install 'pneumoloc[onnx]'"
        )
    if next(model.parameters()).device.type != "cpu":
        raise ConfigError("--engine onnx: expected --device cpu; on a GPU torch is faster")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    sessions: dict[tuple[int, ...], onnxruntime.InferenceSession] = {}

    def core(pixels: Tensor) -> DetectorMaps:
        size = tuple(pixels.shape[2:])
        if size not in sessions:
            sessions[size] = onnxruntime.InferenceSession(
                export_graph(model, pixels), options, providers=["CPUExecutionProvider"]
            )
        found = sessions[size].run(None, {"pixels": np.ascontiguousarray(pixels.numpy())})
        levels = [torch.from_numpy(level) for level in found]
        pyramid, towers, logits, deltas = (
            tuple(levels[first : first + LEVELS]) for first in range(0, 4 * LEVELS, LEVELS)
        )
        return DetectorMaps(pyramid, towers, logits, deltas)

    return core


def export_graph(model: RetinaNet, pixels: Tensor) -> bytes:
    """The serialised graph for any number of films of the size of `pixels` (B, 3, H, Wd)."""
    # A batch of one would be taken for a constant.
    example = torch.zeros(2, *pixels.shape[1:])
    with temporary_folder("pneumoloc-onnx") as folder:
        path = Path(folder) / "detector.onnx"
        # The exporter talks to stdout, where results belong.
        with contextlib.redirect_stdout(io.StringIO()), torch.inference_mode(False):
            torch.onnx.export(
                _Flat(model).eval(),
                (example,),
                path,
                input_names=["pixels"],
                dynamic_shapes={"pixels": {0: torch.export.Dim("films")}},
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        return path.read_bytes()
