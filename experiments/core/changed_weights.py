"""`write_changes` and `read_changes`: fine-tuned detectors as what they changed, a byte a weight.

Eight detectors of 10 MB do not fit through a narrow door. The change of each weight from the common
start is rounded to 1/127 of the largest change in its output channel.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load, load_file, save, save_file
from torch import Tensor

from data_manifests.support.atomic import write_json
from detector.detector import WEIGHTS, load_detector

LEVELS = 127
BYTE, SCALE, WHOLE = "byte", "scale", "whole"
SUFFIX = ".changes.safetensors"


def write_changes(runs: Mapping[str, Path], initial: Path, out: Path, *, groups: int) -> list[Path]:
    """Archives `weights-N.tar` in `out` with the changes of each run's weights from `initial`."""
    start = load_detector(initial).model.state_dict()
    names = list(runs)
    paths = []
    for number in range(groups):
        path = out / f"weights-{number}.tar"
        with tarfile.open(path, "w") as tar:
            for name in names[number::groups]:
                tensors = load_file(runs[name] / WEIGHTS)
                config = (runs[name] / "detector.json").read_text("utf-8")
                content = save(changes(tensors, start), metadata={"detector.json": config})
                info = tarfile.TarInfo(name + SUFFIX)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        paths.append(path)
    return paths


def read_changes(
    archives: Sequence[Path], initial: Path, folder_of: Callable[[str], Path]
) -> list[Path]:
    """The detectors of the archives as folders with `detector.safetensors` and `detector.json`.

    `folder_of` names the folder of each detector's name. `initial` must be the detector that the
    changes were taken from.
    """
    start = load_detector(initial).model.state_dict()
    folders = []
    for archive in archives:
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                handle = tar.extractfile(member)
                if handle is None or not member.name.endswith(SUFFIX):
                    continue
                content = handle.read()
                folder = folder_of(member.name.removesuffix(SUFFIX))
                folder.mkdir(parents=True, exist_ok=True)
                save_file(with_changes(load(content), start), folder / WEIGHTS)
                size = int.from_bytes(content[:8], "little")
                header = json.loads(content[8 : 8 + size])
                write_json(
                    folder / "detector.json", json.loads(header["__metadata__"]["detector.json"])
                )
                folders.append(folder)
    return folders


def changes(tensors: Mapping[str, Tensor], start: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The difference of each tensor to `start` as bytes and a scale for each output channel."""
    found = {}
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            found[f"{name}.{WHOLE}"] = tensor
            continue
        difference = tensor.float() - start[name].float()
        rows = difference.reshape(len(difference), -1) if difference.dim() > 1 else difference[None]
        scale = rows.abs().amax(dim=1) / LEVELS
        steps = torch.where(scale > 0, scale, 1.0)
        found[f"{name}.{BYTE}"] = (
            (rows / steps[:, None]).round().to(torch.int8).reshape(tensor.shape)
        )
        found[f"{name}.{SCALE}"] = scale
    return found


def with_changes(found: Mapping[str, Tensor], start: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `changes`, but for the rounding."""
    tensors = {}
    for key, value in found.items():
        name, _, kind = key.rpartition(".")
        if kind == WHOLE:
            tensors[name] = value
        elif kind == BYTE:
            rows = value.float().reshape(len(value), -1) if value.dim() > 1 else value.float()[None]
            difference = rows * found[f"{name}.{SCALE}"][:, None]
            tensors[name] = start[name].float() + difference.reshape(value.shape)
    return tensors
