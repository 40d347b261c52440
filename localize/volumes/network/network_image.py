"""`network_image`: a volume as the network sees it: grey levels and organs on the patient grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from data_manifests.support.arrays import Floats32, Ints
from data_manifests.volumes.grid import patient_grid
from data_manifests.volumes.organ_labels import OrganLabels
from data_manifests.volumes.volume import AIR_HU, LabelMap, Volume, resample, windowed

GREY_STEPS = 255.0
Number = TypeVar("Number", bound=np.generic)


def network_image(
    volume: Volume, anatomy: LabelMap | None, labels: OrganLabels, spacing_mm: float
) -> NDArray[np.uint8]:
    """Both channels (2, X, Y, Z) on the patient grid of a spacing, in steps of 1/255.

    Without organ labels the second channel is 0.
    """
    grid = patient_grid(volume.grid, spacing_mm)
    image = np.zeros((2, *grid.shape), dtype=np.uint8)
    image[0] = as_steps(windowed(resample(volume.hu, volume.grid, grid, fill=AIR_HU)))
    if anatomy is not None:
        channel = as_steps(labels.channel(anatomy))
        image[1] = resample(channel, anatomy.grid, grid, fill=0, nearest=True)
    return image


def as_steps(values: Floats32) -> NDArray[np.uint8]:
    """Numbers in [0, 1] as whole steps of 1/255."""
    return np.asarray(np.rint(values * GREY_STEPS), dtype=np.uint8)


def cut_patch(
    values: NDArray[Number], low: Ints | Sequence[int], patch: tuple[int, int, int]
) -> NDArray[Number]:
    """The voxels of `values` (C, X, Y, Z) from `low` on, zero outside."""
    result = np.zeros((len(values), *patch), dtype=values.dtype)
    source, target = [slice(None)], [slice(None)]
    for first, size, count in zip(low, patch, values.shape[1:], strict=True):
        start, stop = max(0, int(first)), min(count, int(first) + size)
        source.append(slice(start, stop))
        target.append(slice(start - int(first), stop - int(first)))
    result[tuple(target)] = values[tuple(source)]
    return result
