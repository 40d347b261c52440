"""`PairBatch`: a batch of film-report pairs as tensors, the input of every loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from data_manifests.support.arrays import Ints
from detector.roi_store import RoiStore
from localize.network.localizer import Regions
from localize.training.pairs import Pairs


@dataclass(frozen=True)
class PairBatch:
    """B pairs. `regions` are the best of each film, `lowest` its lowest-ranking ones (I_n).

    `targets` and `target_mask` (B, K) are the attributes and whether they are known; `words` (B, K)
    bool those that are present (T).
    """

    image_ids: tuple[str, ...]
    regions: Regions
    lowest: Regions
    targets: Tensor
    target_mask: Tensor
    words: Tensor

    def __len__(self) -> int:
        return len(self.image_ids)


def make_pair_batch(
    regions: Regions, lowest: Regions, pairs: Pairs, index: Ints, device: torch.device
) -> PairBatch:
    """The pairs `index` (B,) with regions that were read already."""
    return PairBatch(
        image_ids=tuple(pairs.image_ids[k] for k in index),
        regions=regions,
        lowest=lowest,
        targets=torch.from_numpy(pairs.targets[index]).to(device),
        target_mask=torch.from_numpy(pairs.mask[index]).to(device),
        words=torch.from_numpy(pairs.words[index]).to(device),
    )


def read_pair_batch(store: RoiStore, pairs: Pairs, index: Ints, device: torch.device) -> PairBatch:
    """The pairs `index` (B,) with their regions from the store."""
    rows = pairs.rows[index]
    regions = Regions.from_batch(store.read(rows), device)
    lowest = Regions.from_batch(store.read(rows, lowest=True), device)
    return make_pair_batch(regions, lowest, pairs, index, device)
