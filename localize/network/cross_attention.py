"""`cross_attention`: how well regions and words of a film-report pair describe each other.

Paper section 3.3, re-derived from its equations; the normalisation of s_ij is that of stacked cross
attention (Lee et al. 2018, `clipped_l2norm`: leaky ReLU, then L2 over the attending side).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from localize.network.config import SoftmaxAxis
from localize.network.roi_weights import masked_softmax

EPS = 1e-8  # below any norm that float32 features have; keeps padded rows from dividing by zero
LEAKY_SLOPE = 0.1  # SCAN


@dataclass(frozen=True)
class Similarities:
    """S_text and S_roi of each pair, (B,), in [-1, 1]."""

    text: Tensor
    roi: Tensor


def cross_attention(
    fused: Tensor,
    alpha: Tensor,
    words: Tensor,
    region_mask: Tensor,
    word_mask: Tensor,
    *,
    lambda_a: float,
    lambda_b: float,
    axis: SoftmaxAxis,
) -> Similarities:
    """Similarities of B film-report pairs.

    `fused` phi (B, R, D); `alpha` (B, R), zero on padding; `words` m (W, D) shared by all pairs, or
    (B, W, D); `region_mask` (B, R) and `word_mask` (B, W) are true where a region or word counts.
    Everything is computed in float32. A pair without words has similarity 0.
    """
    fused, alpha, words = fused.float(), alpha.float(), words.float()
    if words.ndim == 2:
        words = words.expand(len(fused), -1, -1)
    both = region_mask[:, :, None] & word_mask[:, None, :]
    cosine = torch.einsum("brd,bwd->brw", _unit(fused), _unit(words))
    clipped = functional.leaky_relu(cosine, LEAKY_SLOPE) * both
    # For a word, the regions are weighed by similarities normalised over words, and the reverse.
    over_words = clipped / (clipped.norm(dim=2, keepdim=True) + EPS)
    over_regions = clipped / (clipped.norm(dim=1, keepdim=True) + EPS)
    # "scan": a sums to 1 over regions (A_j sums over i), b over words; "paper": the printed axes.
    a_dim, b_dim = (1, 2) if axis == "scan" else (2, 1)
    a = masked_softmax(lambda_a * over_words, both, dim=a_dim)
    b = masked_softmax(lambda_b * over_regions, both, dim=b_dim)
    per_word = torch.einsum("br,brd,brw->bwd", alpha, fused, a)  # A_j
    per_region = torch.einsum("bwd,brw->brd", words, b)  # B_i
    r_text = (_unit(per_word) * _unit(words)).sum(dim=-1)
    r_roi = (_unit(per_region) * _unit(fused)).sum(dim=-1)
    return Similarities(text=_masked_mean(r_text, word_mask), roi=_masked_mean(r_roi, region_mask))


def _unit(vectors: Tensor) -> Tensor:
    unit: Tensor = vectors / (vectors.norm(dim=-1, keepdim=True) + EPS)
    return unit


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
