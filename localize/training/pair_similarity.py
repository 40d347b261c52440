"""`PairSimilarity`: S_text and S_roi of film-report pairs for a set of word vectors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from localize.network.config import SoftmaxAxis
from localize.network.cross_attention import Similarities, cross_attention
from localize.network.localizer import LocalizerOutput


@dataclass(frozen=True)
class PairSimilarity:
    """Cross-attention with its constants; `vectors` (K, W) are the words m."""

    vectors: Tensor
    lambda_a: float
    lambda_b: float
    axis: SoftmaxAxis

    def of(
        self,
        fused: Tensor,
        alpha: Tensor,
        region_mask: Tensor,
        words: Tensor,
        vectors: Tensor | None = None,
    ) -> Similarities:
        """Similarities of B pairs: phi (B, R, W), alpha and mask (B, R), words (B, K) bool.

        `vectors` (K, W) take the place of the words' own, such as those of their negatives.
        """
        return cross_attention(
            fused,
            alpha,
            self.vectors if vectors is None else vectors,
            region_mask,
            words,
            lambda_a=self.lambda_a,
            lambda_b=self.lambda_b,
            axis=self.axis,
        )

    def matrix(self, output: LocalizerOutput, region_mask: Tensor, words: Tensor) -> Tensor:
        """S_text + S_roi of each of B films with each of C reports `words` (C, K), (B, C)."""
        columns = []
        for report in words:
            same = report.expand(len(output.fused), -1)
            pair = self.of(output.fused, output.alpha, region_mask, same)
            columns.append(pair.text + pair.roi)
        return torch.stack(columns, dim=1)
