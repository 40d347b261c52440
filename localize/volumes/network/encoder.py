"""`VolumeEncoder`: 15 three-dimensional convolutions and three max pools (section 4.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CONVOLUTIONS = (2, 4, 4, 5)  # of the four levels: 15
MAX_WIDENING = 4  # channels double at each pool, up to this factor
STRIDES = (1, 2, 4, 8)


class VolumeEncoder(nn.Module):
    """A VGG-like encoder, (B, C, X, Y, Z) -> (B, D, X / s, Y / s, Z / s).

    With map stride s = 8 it is the plain network of the paper. With a smaller one the levels of
    stride s and coarser are projected to D channels, brought to stride s and added: a lesion of a
    few voxels is lost at stride 8.

    Args:
        channels: of the input.
        width: channels of the first level.
        dim: D.
        map_stride: s.
    """

    def __init__(self, channels: int, *, width: int, dim: int, map_stride: int) -> None:
        super().__init__()
        self.map_stride = map_stride
        self.levels = nn.ModuleList()
        self.projections = nn.ModuleDict()
        incoming = channels
        for level, count in enumerate(CONVOLUTIONS):
            out = width * min(2**level, MAX_WIDENING)
            layers: list[nn.Module] = [nn.MaxPool3d(2)] if level else []
            for _ in range(count):
                layers += [
                    nn.Conv3d(incoming, out, 3, padding=1, bias=False),
                    nn.BatchNorm3d(out),
                    nn.ReLU(),
                ]
                incoming = out
            self.levels.append(nn.Sequential(*layers))
            if STRIDES[level] >= map_stride:
                self.projections[str(level)] = nn.Conv3d(out, dim, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Edges of `images` must be multiples of 8."""
        joined: Tensor | None = None
        level_map = images
        for level, layers in enumerate(self.levels):
            level_map = layers(level_map)
            if str(level) not in self.projections:
                continue
            found = self.projections[str(level)](level_map)
            if joined is None:
                joined = found
            else:
                joined = joined + nn.functional.interpolate(
                    found, size=joined.shape[2:], mode="trilinear", align_corners=False
                )
        assert joined is not None  # noqa: S101 - the last level always has a projection
        return torch.relu(joined)
