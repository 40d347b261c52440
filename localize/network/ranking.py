"""`rank_regions`: from region weights to the boxes of a film, best first, without duplicates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from detector.network.torchvision_parts import nms
from localize.network.config import RankBy


@dataclass(frozen=True)
class Ranking:
    """What orders the regions of a film, and the IoU above which the lower of two is dropped."""

    by: RankBy = "alpha"
    nms_iou: float = 0.3


def rank_values(alpha_logits: Tensor, score_logits: Tensor, by: RankBy) -> Tensor:
    """What orders the regions of one film (R,): log alpha up to a constant, or log(alpha * s).

    Logits rather than alpha itself: a softmax underflows to ties among the lower regions.
    """
    if by == "alpha_score":
        return alpha_logits + torch.nn.functional.logsigmoid(score_logits)
    return alpha_logits


def rank_regions(boxes: Tensor, values: Tensor, *, nms_iou: float, limit: int) -> Tensor:
    """Indices (N,) of the regions that stay, best first, N at most `limit`.

    `boxes` (R, 4), `values` (R,), higher is better; a region is dropped if a better one overlaps it
    with IoU above `nms_iou` (paper 3.4, inference).
    """
    kept: Tensor = nms(boxes.float(), values.float(), nms_iou)[:limit]
    return kept
