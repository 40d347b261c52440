"""`RankedBoxes`: what a method predicts on the test films of a seed, and its scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torchvision.ops import batched_nms

from data_manifests.support.arrays import Floats, Floats32, Ints
from detector.film_maps import NO_REGION, FilmMaps
from localize.evaluation.film_boxes import FilmBoxes, make_film_boxes

NMS_IOU, MAX_BOXES = 0.3, 10  # as in prediction


@dataclass(frozen=True)
class RankedBoxes:
    """`xyxy` (P, 4) film pixels, `scores` (P,) logits and `film` (P,) of the boxes that are left.

    `film_scores` (F,): the highest logit of each film, the one readout for all methods.
    """

    xyxy: Floats32
    scores: Floats32
    film: Ints
    film_scores: Floats32

    def film_boxes(self, true_boxes: Sequence[Floats]) -> FilmBoxes:
        """With the true boxes (G, 4) of each film, to be evaluated."""
        counts = [len(boxes) for boxes in true_boxes]
        return make_film_boxes(
            self.xyxy.astype(np.float64),
            self.scores.astype(np.float64),
            self.film,
            np.concatenate([np.zeros((0, 4)), *true_boxes]),
            np.repeat(np.arange(len(counts)), counts),
            films=len(counts),
        )


def rank_candidates(films: FilmMaps, logits: Floats32) -> RankedBoxes:
    """Candidates by `logits` (F, C), without those that a better one overlaps."""
    count, width = logits.shape
    keep = torch.from_numpy((films.logits > NO_REGION).reshape(-1))
    rows = torch.nonzero(keep).flatten()
    boxes = torch.from_numpy(films.boxes.reshape(-1, 4).copy())[rows]
    values = torch.from_numpy(logits.reshape(-1).copy())[rows]
    film = torch.arange(count).repeat_interleave(width)[rows]
    parts = []
    for first in range(0, count, 64):  # torchvision compares all boxes of a call
        some = torch.nonzero((film >= first) & (film < first + 64)).flatten()
        parts.append(some[batched_nms(boxes[some], values[some], film[some], NMS_IOU)])
    kept = torch.cat(parts)
    kept = kept[torch.argsort(film[kept], stable=True)]  # best first within a film
    of = film[kept].numpy()
    starts = np.searchsorted(of, np.arange(count))
    is_first = np.arange(len(of)) - starts[of] < MAX_BOXES
    kept, of = kept[torch.from_numpy(is_first)], of[is_first]
    best = np.where(films.logits > NO_REGION, logits, NO_REGION).max(axis=1)
    return RankedBoxes(boxes[kept].numpy(), values[kept].numpy(), of, best.astype(np.float32))


def write_ranked(ranked: RankedBoxes, path: Path) -> None:
    """Boxes to a hundredth of a pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        xyxy=(ranked.xyxy * 100).round().astype(np.uint16),
        scores=ranked.scores,
        film=ranked.film.astype(np.uint16),
        film_scores=ranked.film_scores,
    )


def read_ranked(path: Path) -> RankedBoxes:
    """The inverse of `write_ranked`."""
    with np.load(path) as found:
        return RankedBoxes(
            found["xyxy"].astype(np.float32) / 100,
            found["scores"],
            found["film"].astype(np.int64),
            found["film_scores"],
        )
