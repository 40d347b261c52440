"""`GroundingNetwork`: film and findings -> one map for each finding (Ichinose et al. 2023).

A convolutional encoder makes a visual embedding V of the film, with the lungs as a second channel.
An LSTM makes an embedding L of each finding. Their attention is the map: equation 1,
sigmoid(L Wq (V Wk)^T), here divided by sqrt(d) and with a bias, without which a sigmoid of products
starts at one half everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from localize.grounding.network.query import ASSERTIONS, ORGANS, PHRASE_CLASSES

STRIDE = 4  # film pixels across a cell of the map
START_BIAS = -2.0


@dataclass(frozen=True)
class QueryBatch:
    """Q findings of a batch of films, padded to T report tokens and S phrase tokens.

    Args:
        film: (Q,) the row of the finding's film in the batch.
        tokens: (Q, T, D) vectors of the whole report.
        token_count: (Q,) tokens of the report.
        is_target: (Q, T) bool, the finding's noun.
        phrases: (Q, S, D) vectors of the finding's phrases, class by class.
        classes: (Q, S) class of each phrase token.
        phrase_count: (Q,) phrase tokens.
        organ, assertion: (Q,).
    """

    film: Tensor
    tokens: Tensor
    token_count: Tensor
    is_target: Tensor
    phrases: Tensor
    classes: Tensor
    phrase_count: Tensor
    organ: Tensor
    assertion: Tensor

    def to(self, device: torch.device) -> QueryBatch:
        """The same findings on a device."""
        return QueryBatch(**{one.name: getattr(self, one.name).to(device) for one in fields(self)})


class GroundingNetwork(nn.Module):
    """The network of one row of the table.

    Args:
        text_dim: D of the text encoder.
        has_anatomy: the film has the lungs as a second channel.
        has_structure: a finding is read from its structured phrases, else from the whole report
            with the finding's noun marked.
        width: channels of the first convolution.
        dim: of embeddings and attention.
    """

    def __init__(
        self,
        text_dim: int,
        *,
        has_anatomy: bool,
        has_structure: bool,
        width: int = 12,
        dim: int = 32,
    ) -> None:
        super().__init__()
        self.has_structure = has_structure
        self.visual = VisualEncoder(1 + int(has_anatomy), width=width, dim=dim)
        self.text: PhraseAggregator | ReportAggregator
        if has_structure:
            self.text = PhraseAggregator(text_dim, dim=dim)
        else:
            self.text = ReportAggregator(text_dim, dim=dim)
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Conv2d(dim, dim, 1, bias=False)
        self.bias = nn.Parameter(torch.tensor(START_BIAS))

    def forward(self, films: Tensor, queries: QueryBatch) -> Tensor:
        """Logits (Q, H / 4, W / 4) of the maps of films (B, C, H, W)."""
        keys = self.key(self.visual(films))[queries.film]
        words = self.query(self.text(queries))
        product = torch.einsum("qd,qdhw->qhw", words, keys)
        return product / math.sqrt(keys.shape[1]) + self.bias


class VisualEncoder(nn.Module):
    """A VGG-like encoder with three max pools; the coarse levels are added back at stride 4.

    Its first convolution has stride 2, which halves the time on a CPU.
    """

    def __init__(self, channels: int, *, width: int, dim: int) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            _block(channels, width, stride=2),
            nn.MaxPool2d(2),
            _block(width, dim),
            _block(dim, dim),
        )
        self.middle = nn.Sequential(nn.MaxPool2d(2), _block(dim, dim), _block(dim, dim))
        self.coarse = nn.Sequential(nn.MaxPool2d(2), _block(dim, dim), _block(dim, dim))
        self.joined = _block(dim, dim)

    def forward(self, films: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, dim, H / 4, W / 4)."""
        fine = self.fine(films)
        middle = self.middle(fine)
        found = fine
        for level in (middle, self.coarse(middle)):
            found = found + nn.functional.interpolate(
                level, size=fine.shape[2:], mode="bilinear", align_corners=False
            )
        joined: Tensor = self.joined(found)
        return joined


def _block(channels: int, out: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, padding=1, stride=stride, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )


class PhraseAggregator(nn.Module):
    """Equation 5: an LSTM over [organ; p_1; e_1; ...; p_C; e_C] of the finding's phrases.

    Here the class embedding p_k is added to each e_k, and the assertion, one of the structurer's
    results, ends the row.
    """

    def __init__(self, text_dim: int, *, dim: int) -> None:
        super().__init__()
        self.organ = nn.Embedding(len(ORGANS), dim)
        self.assertion = nn.Embedding(len(ASSERTIONS), dim)
        self.classes = nn.Embedding(len(PHRASE_CLASSES), dim)
        self.words = nn.Linear(text_dim, dim)
        self.lstm = nn.LSTM(dim, dim, batch_first=True)

    def forward(self, queries: QueryBatch) -> Tensor:
        """(Q, dim)."""
        phrases = self.words(queries.phrases) + self.classes(queries.classes)
        length = queries.phrase_count + 2
        row = torch.cat(
            [self.organ(queries.organ)[:, None], phrases, torch.zeros_like(phrases[:, :1])], dim=1
        )
        end = (
            torch.arange(row.shape[1], device=row.device)[None, :, None]
            == (length - 1)[:, None, None]
        )
        row = torch.where(end, self.assertion(queries.assertion)[:, None], row)
        return _last_state(self.lstm, row, length)


class ReportAggregator(nn.Module):
    """The baseline without structure: the same LSTM over the words of the whole report.

    The words of the finding's noun are marked, so that it is known which finding is asked for.
    """

    def __init__(self, text_dim: int, *, dim: int) -> None:
        super().__init__()
        self.target = nn.Embedding(2, dim)
        self.words = nn.Linear(text_dim, dim)
        self.lstm = nn.LSTM(dim, dim, batch_first=True)

    def forward(self, queries: QueryBatch) -> Tensor:
        """(Q, dim)."""
        row = self.words(queries.tokens) + self.target(queries.is_target.long())
        return _last_state(self.lstm, row, queries.token_count)


def _last_state(lstm: nn.LSTM, row: Tensor, length: Tensor) -> Tensor:
    packed = nn.utils.rnn.pack_padded_sequence(
        row, length.cpu(), batch_first=True, enforce_sorted=False
    )
    state: Tensor = lstm(packed)[1][0][-1]
    return state


def grounding_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Dice loss of the findings with a region plus cross-entropy of all.

    Dice alone gives the map of a finding without a region hardly a gradient. `logits`, `target`
    (Q, h, w), the target in [0, 1].
    """
    chance = logits.float().sigmoid()
    both = 2 * (chance * target).sum((1, 2))
    dice = both / (chance.sum((1, 2)) + target.sum((1, 2))).clamp(min=1e-6)
    has_region = (target.sum((1, 2)) > 0).float()
    loss = ((1 - dice) * has_region).sum() / has_region.sum().clamp(min=1.0)
    return loss + nn.functional.binary_cross_entropy_with_logits(logits.float(), target)
