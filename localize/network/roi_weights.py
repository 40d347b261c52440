"""`RoiWeights`: the weight alpha of every region, a softmax over the film's regions."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RoiWeights(nn.Module):
    """alpha = softmax(MLP(phi)) over regions (paper 3.3; the net itself is not given there).

    With a `sharpness` alpha is anchored: the logits are tau * logit(s) + MLP(phi). tau starts at
    `sharpness` and the MLP's last layer at zero, so that alpha starts as the detector's ranking. A
    free alpha (None) starts without it.
    """

    def __init__(self, *, width: int, hidden: int, sharpness: float | None) -> None:
        super().__init__()
        last = nn.Linear(hidden, 1)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), last)
        self.tau = None if sharpness is None else nn.Parameter(torch.tensor(sharpness))
        if sharpness is not None:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, fused: Tensor, score_logits: Tensor) -> Tensor:
        """Logits of alpha (B, R) from phi (B, R, W) and the detector's logits (B, R)."""
        logits: Tensor = self.mlp(fused).squeeze(-1)
        return logits if self.tau is None else logits + self.tau * score_logits


def masked_softmax(logits: Tensor, mask: Tensor, dim: int) -> Tensor:
    """Softmax in float32 over the entries where `mask` is true; masked entries get 0, and so does
    everything where nothing is left."""
    filled = logits.float().masked_fill(~mask, -torch.inf)
    weights = torch.softmax(filled.masked_fill(~mask.any(dim=dim, keepdim=True), 0.0), dim=dim)
    return weights * mask
