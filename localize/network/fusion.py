"""`Fusion`: region features, geometry and score into the space of the word vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Fusion(nn.Module):
    """phi_i = W1 r_i + W2 [LN(Wg g_i) | LN(Ws s_i)] (paper, section 3.3).

    `feature_mean` and `feature_std` (D,) standardise r with numbers of the training films; this
    only reparametrises W1, but raw tower activations make its first steps far too long.
    """

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(
        self,
        *,
        feature_width: int,
        geometry_width: int,
        score_width: int,
        out_width: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.register_buffer("feature_mean", torch.zeros(feature_width))
        self.register_buffer("feature_std", torch.ones(feature_width))
        self.from_feature = nn.Linear(feature_width, out_width)
        self.from_geometry = nn.Sequential(
            nn.Linear(4, geometry_width), nn.LayerNorm(geometry_width)
        )
        self.from_score = nn.Sequential(nn.Linear(1, score_width), nn.LayerNorm(score_width))
        self.from_both = nn.Linear(geometry_width + score_width, out_width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor, geometry: Tensor, scores: Tensor) -> Tensor:
        """phi (B, R, W) of features (B, R, D), corners over film size (B, R, 4), scores (B, R)."""
        standard = (features - self.feature_mean) / self.feature_std
        both = torch.cat([self.from_geometry(geometry), self.from_score(scores[..., None])], dim=-1)
        fused: Tensor = self.dropout(self.from_feature(standard) + self.from_both(both))
        return fused
