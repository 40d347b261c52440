"""`TextEncoder`: the words of a report's sentences as vectors in their context."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from localize.volumes.network.report_tokens import MAX_SENTENCE_TOKENS, ReportTokens


class TextEncoder(nn.Module):
    """A small BERT-like transformer over single sentences.

    Args:
        words: size of the vocabulary; word 0 is padding.
        dim: D.
        layers, heads: of the transformer.
    """

    def __init__(self, words: int, *, dim: int, layers: int, heads: int) -> None:
        super().__init__()
        self.dim = dim
        self.words = nn.Embedding(words, dim, padding_idx=0)
        self.positions = nn.Embedding(MAX_SENTENCE_TOKENS, dim)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                dim, heads, 2 * dim, dropout=0.1, batch_first=True, activation="gelu"
            )
            for _ in range(layers)
        )

    def forward(self, sentences: Tensor) -> Tensor:
        """(S, T) token numbers, 0 where padded -> (S, T, D)."""
        places = torch.arange(sentences.shape[1], device=sentences.device)
        vectors = self.words(sentences) + self.positions(places)
        for layer in self.layers:
            vectors = layer(vectors, src_key_padding_mask=sentences == 0)
        return torch.as_tensor(vectors)

    def report_vectors(self, reports: Sequence[ReportTokens]) -> list[Tensor]:
        """The vectors (N, D) of the tokens of each report."""
        device = self.words.weight.device
        rows = [torch.from_numpy(row) for report in reports for row in report.sentences]
        padded = nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device)
        vectors = self(padded)
        found, first = [], 0
        for report in reports:
            lengths = [len(row) for row in report.sentences]
            parts = [vectors[first + k, :length] for k, length in enumerate(lengths)]
            found.append(torch.cat(parts))
            first += len(lengths)
        return found

    def freeze(self, layers: int) -> None:
        """Keep the embeddings and the lowest layers as they are; 0 layers: nothing."""
        if layers == 0:
            return
        for module in (self.words, self.positions, *self.layers[:layers]):
            module.requires_grad_(False)
