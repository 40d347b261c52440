"""`lung_loss`: cross-entropy and Dice (Milletari et al. 2016) of the pixels that are known."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from detector.lungs.masked_films import UNKNOWN

SMOOTH = 100.0  # px: keeps the Dice of a part of few pixels steady


def lung_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Mean over the maps that are known somewhere; Dice only where a part is present.

    Args:
        logits: (B, 3, S, S).
        masks: uint8 (B, 3, S, S) of 0, 1 and UNKNOWN.
    """
    known = (masks != UNKNOWN).float()
    truth = (masks == 1).float()
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    pixels = known.sum(dim=(2, 3))
    entropy = (entropy * known).sum(dim=(2, 3)) / pixels.clamp(min=1)
    probability = logits.sigmoid() * known
    overlap = (probability * truth).sum(dim=(2, 3))
    total = probability.sum(dim=(2, 3)) + (truth * known).sum(dim=(2, 3))
    dice = 1 - (2 * overlap + SMOOTH) / (total + SMOOTH)
    is_known = pixels > 0
    dice = torch.where((truth * known).sum(dim=(2, 3)) > 0, dice, 0.0)
    mean: Tensor = torch.where(is_known, entropy + dice, 0.0).sum() / is_known.sum().clamp(min=1)
    return mean
