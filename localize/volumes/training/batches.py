"""`draw_batch`: patches of volumes with their queries, from (seed, step) alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data_manifests.support.arrays import Ints
from localize.volumes.network.network_image import GREY_STEPS, cut_patch
from localize.volumes.network.query import AnomalyQuery
from localize.volumes.network.report_tokens import ReportTokens
from localize.volumes.training.examples import GroundingExample

MAX_QUERIES = 6  # anomalies of one volume in a step, for memory
ON_REGION = 0.7  # share of patches around an anomaly, where a volume is larger than a patch


@dataclass(frozen=True)
class GroundingBatch:
    """Patches (B, C, X, Y, Z) float32, their reports and queries, and the regions
    (Q, X, Y, Z) float32 of all queries, patch by patch."""

    images: Tensor
    reports: list[ReportTokens]
    queries: list[list[AnomalyQuery]]
    regions: Tensor


def draw_batch(
    examples: Sequence[GroundingExample],
    rows: Ints,
    rng: np.random.Generator,
    *,
    patch: tuple[int, int, int],
    use_anatomy: bool,
) -> GroundingBatch:
    """A patch of each volume in `rows`, with up to six of its anomalies; small volumes are padded.

    Every volume must have a query.
    """
    images, regions = [], []
    queries: list[list[AnomalyQuery]] = []
    for row in rows:
        example = examples[int(row)]
        chosen = rng.permutation(len(example.queries))[:MAX_QUERIES]
        stored, truth = example.read_image(use_anatomy=use_anatomy), example.read_regions()
        place = example.region_of[int(chosen[0])]
        low = _corner(truth[place], stored.shape[1:], patch, rng)
        images.append(cut_patch(stored, low, patch).astype(np.float32) / np.float32(GREY_STEPS))
        for number in chosen:
            part = cut_patch(truth[example.region_of[int(number)]][None], low, patch)
            regions.append(part[0].astype(np.float32))
        queries.append([example.queries[int(number)] for number in chosen])
    return GroundingBatch(
        torch.from_numpy(np.stack(images)),
        [examples[int(row)].tokens for row in rows],
        queries,
        torch.from_numpy(np.stack(regions)),
    )


def _corner(
    region: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    shape: Sequence[int],
    patch: tuple[int, int, int],
    rng: np.random.Generator,
) -> Ints:
    """The first voxel of a patch, within the volume; negative where it is smaller than a patch."""
    room = np.array(shape) - np.array(patch)
    if (room <= 0).all():
        return np.asarray(np.minimum(room // 2, 0))
    low = rng.integers(0, np.maximum(room, 0) + 1)
    if rng.random() < ON_REGION and region.any():
        voxels = np.argwhere(region)
        centre = voxels[rng.integers(len(voxels))]
        low = centre - rng.integers(0, np.array(patch))
    inside = np.clip(low, 0, np.maximum(room, 0))
    return np.asarray(np.where(room > 0, inside, np.minimum(room // 2, 0)))
