"""`VolumeGrounder`: volumes and reports -> a map for each anomaly (section 3.4)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from localize.volumes.network.aggregator import AnomalyAggregator, ReportAggregator
from localize.volumes.network.config import VolumeNetworkConfig
from localize.volumes.network.encoder import VolumeEncoder
from localize.volumes.network.query import AnomalyQuery
from localize.volumes.network.text_encoder import TextEncoder
from localize.volumes.network.transformer_head import TransformerHead

# Most voxels are outside of every region: the maps begin near 0.05.
START_BIAS = -3.0
COARSEST = 8  # voxels across a cell after all pools


class AttentionHead(nn.Module):
    """Equation 1, M = sigmoid(L W_Q (V W_K)^T), as logits; L comes from an aggregator.

    The product is divided by sqrt(D) and has a bias: without them the sigmoid starts at extremes
    or at one half everywhere.
    """

    def __init__(self, aggregator: AnomalyAggregator | ReportAggregator, dim: int) -> None:
        super().__init__()
        self.aggregator = aggregator
        self.source = nn.Linear(dim, dim, bias=False)
        self.target = nn.Conv3d(dim, dim, 1, bias=False)
        self.bias = nn.Parameter(torch.tensor(START_BIAS))

    def forward(
        self,
        cells: Tensor,
        words: Sequence[Tensor],
        queries: Sequence[Sequence[AnomalyQuery]],
        shape: tuple[int, int, int],
    ) -> Tensor:
        """Logits (Q, X, Y, Z) of `shape` for all queries, image by image.

        `cells` (B, D, x, y, z), `words` (N, D) and `queries` are those of each image.
        """
        own_words = [vectors for vectors, asked in zip(words, queries, strict=True) for _ in asked]
        flat = [query for asked in queries for query in asked]
        source = self.source(self.aggregator(own_words, flat)) / math.sqrt(cells.shape[1])
        targets = self.target(cells)
        parts = source.split([len(asked) for asked in queries])
        product = torch.cat(
            [
                torch.einsum("qd,dxyz->qxyz", part, target)
                for part, target in zip(parts, targets, strict=True)
            ]
        )
        logits = product + self.bias
        return nn.functional.interpolate(
            logits[:, None], size=shape, mode="trilinear", align_corners=False
        )[:, 0]


class VolumeGrounder(nn.Module):
    """Encoders of images and words and a head; see `build_grounder`."""

    def __init__(
        self, encoder: VolumeEncoder, text: TextEncoder, head: AttentionHead | TransformerHead
    ) -> None:
        super().__init__()
        self.encoder, self.text, self.head = encoder, text, head


def build_grounder(config: VolumeNetworkConfig, *, words: int, organs: int) -> VolumeGrounder:
    """The network of a configuration, with new weights."""
    dim = config.dim
    head: AttentionHead | TransformerHead
    if config.head == "transformer":
        head = TransformerHead(dim, heads=config.text_heads)
    elif config.use_structure:
        head = AttentionHead(AnomalyAggregator(dim, organs), dim)
    else:
        head = AttentionHead(ReportAggregator(dim), dim)
    channels = 1 + int(config.use_anatomy)
    # A transformer's cost is the square of its cells: MDETR's are coarse, too.
    stride = COARSEST if config.head == "transformer" else config.map_stride
    return VolumeGrounder(
        VolumeEncoder(channels, width=config.width, dim=dim, map_stride=stride),
        TextEncoder(words, dim=dim, layers=config.text_layers, heads=config.text_heads),
        head,
    )
