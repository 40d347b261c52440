"""`AnomalyAggregator`: an anomaly's phrases as one vector (equations 2 to 5), and its baseline."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attributes.anomalies.anomaly import PHRASE_CLASSES
from localize.volumes.network.query import AnomalyQuery


class AnomalyAggregator(nn.Module):
    """L = LSTM([v_organ; p_1; e_1; ...; p_9; e_9]) with trained vectors of organs and classes."""

    def __init__(self, dim: int, organs: int) -> None:
        super().__init__()
        self.organs = nn.Embedding(organs, dim)
        self.classes = nn.Embedding(len(PHRASE_CLASSES), dim)
        self.lstm = nn.LSTM(dim, dim)

    def forward(self, words: Sequence[Tensor], queries: Sequence[AnomalyQuery]) -> Tensor:
        """(Q, D) of Q anomalies; `words` (N, D) are the vectors of each one's whole report."""
        device = self.classes.weight.device
        rows = []
        for vectors, query in zip(words, queries, strict=True):
            parts = [self.organs.weight[query.organ][None]]
            for number, positions in enumerate(query.phrases):
                parts.append(self.classes.weight[number][None])
                parts.append(vectors[torch.from_numpy(positions).to(device)])
            rows.append(torch.cat(parts))
        return _last_state(self.lstm, rows)


class ReportAggregator(nn.Module):
    """Without structuring: an LSTM over the whole report, with the anomaly's own phrase marked."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.marks = nn.Embedding(2, dim)
        self.lstm = nn.LSTM(dim, dim)

    def forward(self, words: Sequence[Tensor], queries: Sequence[AnomalyQuery]) -> Tensor:
        """As `AnomalyAggregator`."""
        rows = [marked(self.marks, *pair) for pair in zip(words, queries, strict=True)]
        return _last_state(self.lstm, rows)


def marked(marks: nn.Embedding, words: Tensor, query: AnomalyQuery) -> Tensor:
    """The vectors (N, D) of a report's words with those of the anomaly's phrase marked."""
    is_head = torch.zeros(len(words), dtype=torch.long)
    is_head[torch.from_numpy(query.head)] = 1
    return torch.as_tensor(words + marks(is_head.to(words.device)))


def _last_state(lstm: nn.LSTM, rows: list[Tensor]) -> Tensor:
    packed = nn.utils.rnn.pack_sequence(rows, enforce_sorted=False)
    _, (state, _) = lstm(packed)
    return torch.as_tensor(state[0])
