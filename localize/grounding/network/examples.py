"""`GroundingExamples`: films, the tokens of their reports, and findings with their maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data_manifests.support.arrays import Bytes, Floats, Floats32, Ints
from localize.grounding.network.grounding_network import STRIDE, QueryBatch
from localize.grounding.network.query import GroundingQuery
from localize.grounding.network.text_encoder import TextTokens

LUNG_LEVELS = 2.0  # the label image (0, 1 right, 2 left) is scaled to [0, 1], as in the paper


@dataclass(frozen=True)
class GroundingExamples:
    """N films with Q findings.

    Args:
        films: (N, H, W) uint8 grey levels.
        lungs: (N, H, W) uint8, 1 right lung, 2 left lung.
        tokens: N reports.
        queries: Q findings.
        film_of: (Q,) the film of each, not falling.
        boxes: Q arrays (n, 4) in film pixels; none for a finding without a region.

    Raises:
        ValueError: unequal lengths, sides that STRIDE does not divide, or films out of order.
    """

    films: Bytes
    lungs: Bytes
    tokens: tuple[TextTokens, ...]
    queries: tuple[GroundingQuery, ...]
    film_of: Ints
    boxes: tuple[Floats, ...]

    def __post_init__(self) -> None:
        films = len(self.films)
        if self.lungs.shape != self.films.shape or len(self.tokens) != films:
            raise ValueError(
                f"lungs and tokens: expected those of {films} films, got "
                f"{self.lungs.shape} and {len(self.tokens)}"
            )
        if any(side % (4 * STRIDE) for side in self.films.shape[1:]):
            raise ValueError(
                f"films: expected sides that {4 * STRIDE} divides, got {self.films.shape}"
            )
        if not len(self.queries) == len(self.film_of) == len(self.boxes):
            raise ValueError("queries, film_of and boxes: expected equal lengths")
        if (np.diff(self.film_of) < 0).any():
            raise ValueError("film_of: expected the findings film by film")

    def inputs(self, rows: Ints, *, has_anatomy: bool) -> Tensor:
        """(B, C, H, W) float32 of some films: grey levels, and the lungs as a label image."""
        grey = torch.from_numpy(self.films[rows]).float()[:, None] / 255.0
        if not has_anatomy:
            return grey
        lungs = torch.from_numpy(self.lungs[rows]).float()[:, None] / LUNG_LEVELS
        return torch.cat([grey, lungs], dim=1)

    def queries_of(self, rows: Ints) -> Ints:
        """The findings of some films, film by film."""
        bounds = np.searchsorted(self.film_of, np.stack([rows, rows + 1]))
        return np.concatenate([np.arange(a, b) for a, b in bounds.T] or [np.zeros(0, np.int64)])

    def batch(self, rows: Ints) -> QueryBatch:
        """The findings of some films as tensors; films are numbered as in `rows`."""
        chosen = self.queries_of(rows)
        place_of = {int(row): place for place, row in enumerate(rows)}
        queries = [self.queries[int(k)] for k in chosen]
        tokens = [self.tokens[int(self.film_of[k])] for k in chosen]
        return QueryBatch(
            film=torch.tensor([place_of[int(self.film_of[k])] for k in chosen]),
            tokens=_padded([one.vectors for one in tokens]),
            token_count=_counts([len(one.starts) for one in tokens]),
            is_target=_padded([query.is_target for query in queries]),
            phrases=_padded(
                [one.vectors[query.order] for one, query in zip(tokens, queries, strict=True)]
            ),
            classes=_padded([query.classes for query in queries]),
            phrase_count=_counts([len(query.order) for query in queries], least=0),
            organ=torch.tensor([query.organ for query in queries]),
            assertion=torch.tensor([query.assertion for query in queries]),
        )


def target_map(boxes: Floats, height: int, width: int, *, stride: int = STRIDE) -> Floats32:
    """Share of each cell that the boxes (n, 4) cover, (height / stride, width / stride) float32."""
    found = np.zeros((height // stride, width // stride))
    for x1, y1, x2, y2 in boxes:
        across = _coverage(x1 / stride, x2 / stride, found.shape[1])
        down = _coverage(y1 / stride, y2 / stride, found.shape[0])
        found = np.maximum(found, down[:, None] * across[None, :])
    return found.astype(np.float32)


def _coverage(low: float, high: float, count: int) -> Floats:
    edges = np.arange(count, dtype=np.float64)
    share: Floats = np.clip(np.minimum(high, edges + 1) - np.maximum(low, edges), 0.0, 1.0)
    return share


def _counts(values: Sequence[int], *, least: int = 1) -> Tensor:
    return torch.tensor([max(value, least) for value in values])


def _padded(rows: Sequence[np.ndarray]) -> Tensor:  # any kind of number
    """Rows of unequal length as one tensor, at least one long."""
    longest = max([1, *(len(row) for row in rows)])
    shape = (len(rows), longest, *rows[0].shape[1:])
    found = np.zeros(shape, rows[0].dtype)
    for number, row in enumerate(rows):
        found[number, : len(row)] = row
    return torch.from_numpy(found)
