"""`Fusion`: region features, geometry and score into the space of the word vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RegionFusion(nn.Module):
    """Base of a fusion: holds the mean and standard deviation of the region features.

    A subclass defines `forward(features, geometry, scores)`: features (B, R, D), box corners over
    film size (B, R, 4) and scores (B, R) to phi (B, R, W), where W is the width of the word
    vectors. `feature_mean` and `feature_std` (D,) are set from the training films.
    """

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(self, feature_width: int) -> None:
        super().__init__()
        self.register_buffer("feature_mean", torch.zeros(feature_width))
        self.register_buffer("feature_std", torch.ones(feature_width))

    def standardize(self, features: Tensor) -> Tensor:
        """Features (..., D) with mean 0 and standard deviation 1 on the training films.

        This only reparametrises W1, but with raw features its first steps are far too long.
        """
        return (features - self.feature_mean) / self.feature_std


class Fusion(RegionFusion):
    """phi_i = W1 r_i + W2 [LN(Wg g_i) | LN(Ws s_i)] (paper, section 3.3)."""

    def __init__(
        self,
        *,
        feature_width: int,
        geometry_width: int,
        score_width: int,
        out_width: int,
        dropout: float,
    ) -> None:
        super().__init__(feature_width)
        self.from_feature = nn.Linear(feature_width, out_width)
        self.from_geometry = nn.Sequential(
            nn.Linear(4, geometry_width), nn.LayerNorm(geometry_width)
        )
        self.from_score = nn.Sequential(nn.Linear(1, score_width), nn.LayerNorm(score_width))
        self.from_both = nn.Linear(geometry_width + score_width, out_width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor, geometry: Tensor, scores: Tensor) -> Tensor:
        """phi (B, R, W) of features (B, R, D) or (D,), corners (B, R, 4) and scores (B, R)."""
        both = torch.cat([self.from_geometry(geometry), self.from_score(scores[..., None])], dim=-1)
        fused: Tensor = self.dropout(
            self.from_feature(self.standardize(features)) + self.from_both(both)
        )
        return fused
