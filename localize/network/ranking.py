"""`rank_regions`: from region weights to the boxes of a film, best first, without doubles."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import nms

from localize.network.config import RankBy


def rank_values(alpha_logits: Tensor, score_logits: Tensor, by: RankBy) -> Tensor:
    """What orders the regions of one film: log alpha up to a constant, or log(alpha * s).

    Logits rather than alpha itself: a softmax underflows to ties among the lower regions.
    """
    if by == "alpha_score":
        return alpha_logits + torch.nn.functional.logsigmoid(score_logits)
    return alpha_logits


def rank_regions(boxes: Tensor, values: Tensor, *, nms_iou: float, limit: int) -> Tensor:
    """Indices (K,) of the kept regions of one film, best first, K at most `limit`.

    `boxes` (R, 4), `values` (R,) higher is better; a region goes when a better one overlaps it with
    IoU above `nms_iou` (paper 3.4, inference).
    """
    kept: Tensor = nms(boxes.float(), values.float(), nms_iou)[:limit]
    return kept
