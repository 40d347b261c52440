"""`dice_loss`: one minus the soft Dice score (Milletari et al. 2016), per anomaly; box losses."""

from __future__ import annotations

import torch
from torch import Tensor

SMOOTH = 1.0  # voxels: an empty region in a patch asks for an empty map


def dice_loss(logits: Tensor, regions: Tensor) -> Tensor:
    """(Q,) losses of maps and regions (Q, X, Y, Z); sums in float32."""
    maps = torch.sigmoid(logits.float()).flatten(1)
    truth = regions.float().flatten(1)
    overlap = (maps * truth).sum(1)
    return 1 - (2 * overlap + SMOOTH) / (maps.square().sum(1) + truth.square().sum(1) + SMOOTH)


def region_boxes(regions: Tensor) -> Tensor:
    """(Q, 6): centre and size of the box around each region, as shares of the image; the whole
    image for an empty region."""
    edges = []
    for axis in range(3):
        others = [other + 1 for other in range(3) if other != axis]
        inside = regions.amax(dim=others) > 0
        count = inside.shape[1]
        places = torch.arange(count, device=regions.device)
        first = torch.where(inside, places, count).amin(1)
        last = torch.where(inside, places, -1).amax(1) + 1
        is_empty = ~inside.any(1)
        first, last = first.masked_fill(is_empty, 0), last.masked_fill(is_empty, count)
        edges.append(torch.stack([(first + last) / 2, last - first], dim=1) / count)
    stacked = torch.stack(edges, dim=1)  # (Q, 3, 2)
    return torch.cat([stacked[:, :, 0], stacked[:, :, 1]], dim=1).float()


def box_loss(boxes: Tensor, truth: Tensor) -> Tensor:
    """(Q,): L1 times five plus one minus the generalised IoU times two, as in DETR."""
    low, high = boxes[:, :3] - boxes[:, 3:] / 2, boxes[:, :3] + boxes[:, 3:] / 2
    true_low, true_high = truth[:, :3] - truth[:, 3:] / 2, truth[:, :3] + truth[:, 3:] / 2
    inner = (torch.minimum(high, true_high) - torch.maximum(low, true_low)).clamp(min=0).prod(1)
    union = boxes[:, 3:].prod(1) + truth[:, 3:].prod(1) - inner
    hull = (torch.maximum(high, true_high) - torch.minimum(low, true_low)).prod(1)
    tiny = torch.finfo(torch.float32).tiny
    giou = inner / union.clamp(min=tiny) - (hull - union) / hull.clamp(min=tiny)
    return 5 * (boxes - truth).abs().sum(1) + 2 * (1 - giou)
