"""`ReportTokens`: the words of a report, sentence by sentence, as numbers; `Vocabulary`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from attributes.anomalies.anomaly import StructuredReport
from attributes.lexicon.tokens import TOKEN, fold
from data_manifests.support.arrays import Ints

PAD, UNKNOWN, MASK, NUMBER = "<pad>", "<unknown>", "<mask>", "<number>"
SPECIAL = (PAD, UNKNOWN, MASK, NUMBER)
DIGITS = re.compile(r"[0-9.]+")
MAX_SENTENCE_TOKENS = 128


@dataclass(frozen=True)
class ReportTokens:
    """The tokens of a report's sentences.

    Args:
        sentences: token numbers of each sentence, (T,) int64 each.
        spans: (N, 2) characters of the report for all tokens, sentence after sentence.
    """

    sentences: tuple[Ints, ...]
    spans: Ints

    def inside(self, start: int, end: int) -> Ints:
        """The positions, among all tokens, that share a character with `start` to `end`."""
        return np.flatnonzero((self.spans[:, 0] < end) & (self.spans[:, 1] > start))


@dataclass(frozen=True)
class Vocabulary:
    """Words and their numbers; rare numbers share a token, other rare words another."""

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.words[: len(SPECIAL)] != SPECIAL or len(set(self.words)) != len(self.words):
            raise ValueError(f"words must be unique and begin with {SPECIAL}")
        object.__setattr__(self, "_number_of", {word: n for n, word in enumerate(self.words)})

    def number(self, word: str) -> int:
        """The number of a folded word."""
        numbers: dict[str, int] = self._number_of  # type: ignore[attr-defined] # set above
        if word in numbers:
            return numbers[word]
        return numbers[NUMBER] if DIGITS.fullmatch(word) else numbers[UNKNOWN]

    def tokenize(self, report: StructuredReport) -> ReportTokens:
        """The tokens of the sentences that are read; a report without any has one unknown token."""
        sentences, spans = [], []
        for sentence in report.sentences:
            found = list(TOKEN.finditer(report.text, sentence.start, sentence.end))
            found = found[:MAX_SENTENCE_TOKENS]
            if found:
                sentences.append(np.array([self.number(fold(m.group())) for m in found]))
                spans += [match.span() for match in found]
        if not sentences:
            return ReportTokens((np.array([SPECIAL.index(UNKNOWN)]),), np.zeros((1, 2), np.int64))
        return ReportTokens(tuple(sentences), np.array(spans, dtype=np.int64))


def build_vocabulary(reports: Iterable[StructuredReport], *, min_count: int = 2) -> Vocabulary:
    """The words that reports use at least `min_count` times, most frequent first."""
    counts: Counter[str] = Counter()
    for report in reports:
        for sentence in report.sentences:
            counts.update(
                fold(match.group())
                for match in TOKEN.finditer(report.text, sentence.start, sentence.end)
            )
    common = sorted((-count, word) for word, count in counts.items() if count >= min_count)
    return Vocabulary((*SPECIAL, *(word for _, word in common)))
