"""`FilmAnswer`: which keywords a film shows, asked of its regions and of the film as a whole.

The head answers for each region, and the film's answer in the paper is theirs under alpha. But one
region does not know how many there are, and a head that learns from a few hundred reports reads
"severe" worse than the boxes' extent does. So a second opinion, a logistic regression of
`film_evidence` fitted before training begins, is averaged with it.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from data_manifests.support.arrays import Floats, Floats32
from localize.network.film_evidence import WIDTH

MIN_EXAMPLES = 8  # of either kind; a keyword with fewer is left to the regions
INVERSE_PENALTY = 0.1  # LogisticRegression's C, on standardised evidence
MIN_STD = 1e-3  # evidence that is always the same says nothing


class FilmAnswer(nn.Module):
    """The mean of two logits, for each of K keywords: its regions' and the film's.

    `mean` and `std` (E,) standardise the evidence; `weight` (K, E) and `bias` (K,) are the second
    opinion; `is_fitted` (K,) bool says where there is one. Nothing of it is trained by gradients.
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
        """Logits (B, K) from the regions' `attended` (B, K) and `evidence` (B, E)."""
        own = torch.addmm(self.bias, (evidence - self.mean) / self.std, self.weight.T)
        return torch.where(self.is_fitted, (attended + own) / 2, attended)


def fit_film_answer(
    answer: FilmAnswer,
    evidence: Floats,
    targets: Floats32,
    mask: Floats32,
) -> None:
    """Fit on films: `evidence` (P, E); `targets` and `mask` (P, K), where the mask is 0 unknown."""
    mean, std = evidence.mean(axis=0), np.maximum(evidence.std(axis=0), MIN_STD)
    answer.mean.copy_(torch.from_numpy(mean))
    answer.std.copy_(torch.from_numpy(std))
    for k in range(targets.shape[1]):
        known = mask[:, k] > 0
        present = targets[known, k] > 0.5
        if min(present.sum(), len(present) - present.sum()) < MIN_EXAMPLES:
            continue
        model = LogisticRegression(C=INVERSE_PENALTY, max_iter=500)
        model.fit((evidence[known] - mean) / std, present)
        answer.weight[k].copy_(torch.from_numpy(model.coef_[0]))
        answer.bias[k] = float(model.intercept_[0])
        answer.is_fitted[k] = True
