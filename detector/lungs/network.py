"""`LungNetwork`: a small U-Net (Ronneberger et al. 2015): three maps as large as its input."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from detector.lungs.config import LungNetworkConfig

MAPS = 3  # right lung, left lung, heart; the heart lies over the lungs, so each map is its own
GROUPS = 8
FOLD = 2  # px that are folded into channels: the first level works at half the size


class LungNetwork(nn.Module):
    """Square films (B, 1, S, S), normalised, to logits (B, 3, S, S)."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        inputs = (FOLD**2, *widths[:-1])
        self.down = nn.ModuleList([_block(a, b) for a, b in zip(inputs, widths, strict=True)])
        self.up = nn.ModuleList([_block(fine + coarse, fine) for fine, coarse in pairwise(widths)])
        self.head = nn.Conv2d(widths[0], MAPS * FOLD**2, 1)

    def forward(self, films: Tensor) -> Tensor:
        """Logits of each map."""
        x = functional.pixel_unshuffle(films, FOLD)
        levels = []
        for depth, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if depth else x)
            levels.append(x)
        for fine, block in zip(levels[-2::-1], reversed(self.up), strict=True):
            x = block(torch.cat([fine, functional.interpolate(x, scale_factor=2.0)], dim=1))
        return functional.pixel_shuffle(self.head(x), FOLD)


def build_lung_network(config: LungNetworkConfig) -> LungNetwork:
    """A network with fresh weights."""
    return LungNetwork(config.widths)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [
            nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
            nn.GroupNorm(GROUPS, outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
