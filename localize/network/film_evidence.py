"""`film_evidence`: numbers of a film's best regions together, for its film-level attributes.

`bilateral`, `multifocal` and `severe` describe films; one region cannot show that there is another
on the other side. The six fields are the zones of the two lungs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from data_manifests.laterality import WHOLE_FILM

# Weights in bundles depend on all of these: a change alters the attributes of every bundle.
COUNT = 4  # best regions of a film, each apart from the better ones
TOP_SCORES = 3  # of these whose logits are used as they are
MAX_IOU = 0.3  # `nms_iou`: RSNA boxes of one lung rarely touch
LEAST_LOGIT = -6.0  # a score of .0025; lower ones are noise
ZONES: list[list[float]] = WHOLE_FILM.zone_rectangles().tolist()  # in shares of the film
WIDTH = TOP_SCORES + 1 + len(ZONES)


@torch.no_grad()
def film_evidence(geometry: Tensor, score_logits: Tensor, mask: Tensor) -> Tensor:
    """Numbers of B films, (B, WIDTH).

    They are the logits of the TOP_SCORES best separate regions, the log of the summed odds of all
    regions, and the root of the expected extent of the COUNT best in each of the ZONES.

    `geometry` (B, R, 4) corners over film size; `score_logits` and `mask` (B, R).
    """
    logits = score_logits.float().masked_fill(~mask, -torch.inf)
    boxes, kept = _separate(geometry.float(), logits)
    top = kept[:, :TOP_SCORES].clamp(min=LEAST_LOGIT)
    summed = torch.logsumexp(logits, dim=1, keepdim=True).clamp(min=LEAST_LOGIT)
    chance = kept.sigmoid()
    across, down = boxes[..., 0::2], boxes[..., 1::2]
    extents = [
        (chance * _overlap(across, x1, x2) * _overlap(down, y1, y2)).sum(dim=1)
        for x1, y1, x2, y2 in ZONES
    ]
    return torch.cat([top, summed, torch.stack(extents, dim=1).sqrt()], dim=1)


def _separate(boxes: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes (B, COUNT, 4) and logits (B, COUNT) of greedy suppression, -inf where none is left."""
    found, values = [], []
    for _ in range(COUNT):
        value, best = logits.max(dim=1)
        box = boxes[torch.arange(len(boxes), device=boxes.device), best]
        found.append(box)
        values.append(value)
        logits = logits.masked_fill(_iou(box[:, None], boxes) > MAX_IOU, -torch.inf)
        logits = logits.scatter(1, best[:, None], -torch.inf)  # also a box without area
    return torch.stack(found, dim=1), torch.stack(values, dim=1)


def _iou(one: Tensor, others: Tensor) -> Tensor:
    """IoU of (B, 1, 4) with (B, R, 4) corners, (B, R)."""
    low, high = torch.maximum(one, others)[..., :2], torch.minimum(one, others)[..., 2:]
    shared = (high - low).clamp(min=0).prod(dim=-1)
    area_one, area_others = ((box[..., 2:] - box[..., :2]).prod(dim=-1) for box in (one, others))
    return shared / (area_one + area_others - shared).clamp(min=1e-9)


def _overlap(edges: Tensor, start: float, end: float) -> Tensor:
    """How much of [start, end] lies within intervals `edges` (..., 2)."""
    return (edges[..., 1].clamp(max=end) - edges[..., 0].clamp(min=start)).clamp(min=0)
