"""`FilmHead`: the attributes of a film, from its regions and from the film as a whole.

In the paper the film's attributes are those of its regions, weighted by alpha. One region cannot
show how many there are, and from a few hundred reports the attribute head learns "severe" less well
than the extent of the boxes predicts it. So a logistic regression of `film_evidence`, fitted before
training, is averaged with the regions' attributes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from data_manifests.support.arrays import Floats, Floats32
from localize.network.film_evidence import WIDTH

MIN_EXAMPLES = 8  # films with and without a keyword; with fewer of either it has no regression
INVERSE_PENALTY = 0.1  # LogisticRegression's C, on standardised evidence
MIN_STD = 1e-3  # evidence that never varies says nothing


class FilmHead(nn.Module):
    """For each of K keywords the mean of two logits: its regions' and the film's regression.

    `mean` and `std` (E,) standardise the evidence; `weight` (K, E) and `bias` (K,) are the
    regressions; `is_fitted` (K,) bool marks the keywords that have one. No gradients train them.
    """

    mean: Tensor
    std: Tensor
    weight: Tensor
    bias: Tensor
    is_fitted: Tensor

    def __init__(self, keywords: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(WIDTH))
        self.register_buffer("std", torch.ones(WIDTH))
        self.register_buffer("weight", torch.zeros(keywords, WIDTH))
        self.register_buffer("bias", torch.zeros(keywords))
        self.register_buffer("is_fitted", torch.zeros(keywords, dtype=torch.bool))

    def forward(self, attended: Tensor, evidence: Tensor) -> Tensor:
        """Logits (B, K) from those of the regions `attended` (B, K) and `evidence` (B, E)."""
        own = torch.addmm(self.bias, (evidence - self.mean) / self.std, self.weight.T)
        return torch.where(self.is_fitted, (attended + own) / 2, attended)


def fit_film_head(head: FilmHead, evidence: Floats, targets: Floats32, mask: Floats32) -> None:
    """Fit on P films: `evidence` (P, E); `targets` and `mask` (P, K), mask 0 where not known."""
    from sklearn.linear_model import LogisticRegression  # prediction does without its imports

    mean, std = evidence.mean(axis=0), np.maximum(evidence.std(axis=0), MIN_STD)
    head.mean.copy_(torch.from_numpy(mean))
    head.std.copy_(torch.from_numpy(std))
    for k in range(targets.shape[1]):
        known = mask[:, k] > 0
        present = targets[known, k] > 0.5
        if min(present.sum(), len(present) - present.sum()) < MIN_EXAMPLES:
            continue
        model = LogisticRegression(C=INVERSE_PENALTY, max_iter=500)
        model.fit((evidence[known] - mean) / std, present)
        head.weight[k].copy_(torch.from_numpy(model.coef_[0]))
        head.bias[k] = float(model.intercept_[0])
        head.is_fitted[k] = True
