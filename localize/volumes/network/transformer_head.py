"""`TransformerHead`: the comparison row, in the manner of MDETR (Kamath et al. 2021).

One transformer reads the cells of the image and the words of the report together; a decoder with
one trained query answers with a box. As in the paper's comparison the backbone is the same
three-dimensional one. The map of an anomaly is its box.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from localize.volumes.network.aggregator import marked
from localize.volumes.network.query import AnomalyQuery

LAYERS = 2  # of encoder and decoder; MDETR's are 6
SHARPNESS = 60.0  # of the soft edge of a box, per share of the image's edge
FREQUENCIES = 6


class TransformerHead(nn.Module):
    """Cells and words -> boxes, and these as maps."""

    def __init__(self, dim: int, *, heads: int) -> None:
        super().__init__()
        self.marks = nn.Embedding(2, dim)
        self.kinds = nn.Embedding(2, dim)  # a cell, a word
        self.places = nn.Linear(3 * 2 * FREQUENCIES, dim)
        self.query = nn.Parameter(torch.zeros(1, dim))
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(dim, heads, 2 * dim, dropout=0.1, batch_first=True),
            LAYERS,
            enable_nested_tensor=False,
        )
        self.decoder = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(dim, heads, 2 * dim, dropout=0.1, batch_first=True), LAYERS
        )
        self.box = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 6))

    def forward(
        self,
        cells: Tensor,
        words: Sequence[Tensor],
        queries: Sequence[Sequence[AnomalyQuery]],
        shape: tuple[int, int, int],
    ) -> Tensor:
        """As `AttentionHead`: logits (Q, X, Y, Z) of `shape`."""
        return box_maps(self.boxes(cells, words, queries), shape)

    def boxes(
        self, cells: Tensor, words: Sequence[Tensor], queries: Sequence[Sequence[AnomalyQuery]]
    ) -> Tensor:
        """(Q, 6): centre and size of a box along the three axes, as shares of the image."""
        owners = [row for row, asked in enumerate(queries) for _ in asked]
        flat = [query for asked in queries for query in asked]
        cells = cells[owners]
        places = self.places(_waves(cells.shape[2:], cells.device))
        rows = cells.flatten(2).transpose(1, 2) + places + self.kinds.weight[0]
        read = [
            marked(self.marks, words[row], query) for row, query in zip(owners, flat, strict=True)
        ]
        text = nn.utils.rnn.pad_sequence(read, batch_first=True) + self.kinds.weight[1]
        lengths = torch.tensor([len(one) for one in read], device=cells.device)
        is_pad = torch.arange(text.shape[1], device=cells.device)[None] >= lengths[:, None]
        is_pad = torch.cat([is_pad.new_zeros(rows.shape[:2]), is_pad], dim=1)
        memory = self.encoder(torch.cat([rows, text], dim=1), src_key_padding_mask=is_pad)
        answer = self.decoder(
            self.query.expand(len(cells), 1, -1), memory, memory_key_padding_mask=is_pad
        )
        return torch.sigmoid(self.box(answer[:, 0]))


def box_maps(boxes: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Logits (Q, X, Y, Z) that are positive inside each box, with soft edges."""
    inside: Tensor | None = None
    for axis, count in enumerate(shape):
        points = (torch.arange(count, device=boxes.device) + 0.5) / count
        centre, half = boxes[:, axis, None], boxes[:, 3 + axis, None] / 2
        reach = half - (points[None] - centre).abs()
        view = [len(boxes), 1, 1, 1]
        view[axis + 1] = count
        reach = reach.view(view)
        inside = reach if inside is None else torch.minimum(inside, reach)
    return SHARPNESS * torch.as_tensor(inside)


def _waves(shape: Sequence[int], device: torch.device) -> Tensor:
    """Sines and cosines of the places of the cells (X * Y * Z, 6 * FREQUENCIES)."""
    axes = [(torch.arange(count, device=device) + 0.5) / count for count in shape]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)
    angles = grid[:, :, None] * (2.0 ** torch.arange(FREQUENCIES, device=device)) * torch.pi
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)
