"""The losses: triplet on similarities (paper eq. 1), attribute BCE, pull to the detector."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from localize.network.cross_attention import Similarities


def triplet_loss(
    positive: Similarities, negative_rois: Tensor, negative_words: Tensor, *, margin: float
) -> Tensor:
    """Paper eq. 1, one value a pair, (B,).

    `negative_rois` is S_roi(I_n, T), `negative_words` S_text(I, T_n), (B,) each.
    """
    by_rois = (margin - positive.roi + negative_rois).clamp(min=0)
    by_words = (margin - positive.text + negative_words).clamp(min=0)
    return by_rois + by_words


def batch_triplet_loss(similarity: Tensor, is_negative: Tensor, *, margin: float) -> Tensor:
    """Triplets with the hardest other report for a film and the hardest other film for a report.

    `similarity` (B, B): film b with report c, true pairs on the diagonal; `is_negative` (B, B): c
    really says something else than b (many reports name the same attributes). One value a pair,
    (B,); a pair without a negative costs nothing. Faghri et al. 2018 (VSE++), as used by SCAN.
    """
    positive = similarity.diagonal()
    cost_text = (margin + similarity - positive[:, None]).clamp(min=0) * is_negative
    cost_film = (margin + similarity - positive[None, :]).clamp(min=0) * is_negative
    return cost_text.amax(dim=1) + cost_film.amax(dim=0)


def attribute_loss(
    logits: Tensor, targets: Tensor, mask: Tensor, positive_weight: Tensor | None
) -> Tensor:
    """Binary cross-entropy over the attributes whose target is known, one value a film, (B,).

    `logits`, `targets`, `mask` (B, K); `positive_weight` (K,) weighs rare attributes up.
    """
    each = functional.binary_cross_entropy_with_logits(
        logits.float(), targets, pos_weight=positive_weight, reduction="none"
    )
    return (each * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def detector_divergence(alpha: Tensor, score_logits: Tensor, mask: Tensor) -> Tensor:
    """KL(softmax(logit s) || alpha) over the regions of each film, (B,): 0 when alpha is the
    detector's own distribution, and for a film without regions."""
    filled = score_logits.float().masked_fill(~mask, -torch.inf)
    filled = filled.masked_fill(~mask.any(dim=1, keepdim=True), 0.0)
    reference = torch.softmax(filled, dim=1)
    log_reference = torch.log_softmax(filled, dim=1).masked_fill(~mask, 0.0)
    log_alpha = alpha.clamp(min=1e-30).log().masked_fill(~mask, 0.0)
    return (reference * (log_reference - log_alpha) * mask).sum(dim=1)
