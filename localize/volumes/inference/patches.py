"""`predict_maps`: the maps of all anomalies of a volume, patch by patch, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from data_manifests.support.errors import ConfigError
from detector.config import Precision
from detector.run.device import has_bfloat16
from localize.volumes.network.grounder import VolumeGrounder
from localize.volumes.network.network_image import GREY_STEPS, cut_patch
from localize.volumes.network.query import AnomalyQuery
from localize.volumes.network.report_tokens import ReportTokens
from localize.volumes.network.transformer_head import TransformerHead

MARGIN = 16  # voxels of a patch that are seen but not answered, where the volume goes on


@dataclass(frozen=True)
class Window:
    """A patch along one axis: it begins at `low` and answers for voxels `start` to `stop`."""

    low: int
    start: int
    stop: int


def windows(length: int, patch: int, margin: int = MARGIN) -> list[Window]:
    """The patches of an axis of `length` voxels; together they answer for each voxel once.

    A shorter axis is centred in one patch, as in training.
    """
    if length <= patch:
        return [Window((length - patch) // 2, 0, length)]
    if patch <= 2 * margin:
        margin = patch // 4
    found, start = [], 0
    while start < length:
        low = min(max(0, start - margin), length - patch)
        is_last = low == length - patch
        stop = length if is_last else low + patch - margin
        found.append(Window(low, start, stop))
        start = stop
    return found


def predict_maps(
    network: VolumeGrounder,
    image: NDArray[np.uint8],
    tokens: ReportTokens,
    queries: Sequence[AnomalyQuery],
    *,
    patch: tuple[int, int, int],
    precision: torch.dtype,
) -> NDArray[np.uint8]:
    """Probabilities (Q, X, Y, Z) in steps of 1/255 from an image (C, X, Y, Z) in such steps.

    Only one patch and the result are in memory at a time.

    Raises:
        ConfigError: the transformer head, which answers for a whole image, and a larger volume.
    """
    shape = image.shape[1:]
    maps = np.zeros((len(queries), *shape), dtype=np.uint8)
    if not queries:
        return maps
    places = list(_patches(shape, patch))
    if isinstance(network.head, TransformerHead) and len(places) > 1:
        raise ConfigError(
            f"head transformer: expected volumes of at most {patch} voxels, got {shape}; train it "
            "with a larger patch"
        )
    device = next(network.parameters()).device
    network.eval()
    with torch.inference_mode():
        (words,) = network.text.report_vectors([tokens])
        for around in places:
            low = np.array([window.low for window in around])
            part = cut_patch(image, low, patch).astype(np.float32) / np.float32(GREY_STEPS)
            with autocast(device, precision):
                cells = network.encoder(torch.from_numpy(part)[None].to(device)).float()
            for number, query in enumerate(queries):
                logits = network.head(cells, [words], [[query]], patch)
                answer = (torch.sigmoid(logits[0]) * GREY_STEPS).round().byte().cpu().numpy()
                inner = tuple(slice(w.start - w.low, w.stop - w.low) for w in around)
                outer = tuple(slice(w.start, w.stop) for w in around)
                maps[number][outer] = answer[inner]
    return maps


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[None]:
    """Mixed precision of the image encoder; float32 changes nothing."""
    return torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32)


def chosen_precision(name: Precision, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 where the device is quick with it."""
    if name == "float32" or (name == "auto" and not has_bfloat16(device)):
        return torch.float32
    return torch.bfloat16


def _patches(
    shape: Sequence[int], patch: tuple[int, int, int]
) -> Iterator[tuple[Window, Window, Window]]:
    along = [windows(length, edge) for length, edge in zip(shape, patch, strict=True)]
    yield from product(along[0], along[1], along[2])
