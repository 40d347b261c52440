"""A look at word vectors: neighbours, negatives under each policy, stability over seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from attributes.lexicon.entries import Lexicon
from attributes.reports import ReportReader
from attributes.vectors.negatives import NEGATIVE_POLICIES, choose_negatives
from attributes.vectors.word_vectors import TrainedWords, VectorOptions, train_words
from data_manifests.support.arrays import Floats32


@dataclass(frozen=True)
class KeywordReport:
    """One keyword: its count, its nearest words, and per policy the negative and its votes."""

    keyword: str
    count: int
    neighbours: tuple[tuple[str, float], ...]
    negatives: Mapping[str, str]
    votes: Mapping[str, int]


def report_vectors(
    reports: ReportReader,
    lexicon: Lexicon,
    options: VectorOptions,
    *,
    seeds: int,
    neighbours: int = 5,
) -> list[KeywordReport]:
    """Train with `seeds` seeds; neighbours and negatives are those of `options.seed`.

    `votes` counts the seeds whose negative is the same.

    Raises:
        DataError: as `train_words`.
    """
    runs: list[TrainedWords] = []
    for offset in range(seeds):
        runs.append(train_words(reports, lexicon, replace(options, seed=options.seed + offset)))
    chosen: dict[str, list[list[str]]] = {}
    for policy in NEGATIVE_POLICIES:
        picks = (choose_negatives(run.keyword_vectors, lexicon, policy=policy) for run in runs)
        chosen[policy] = [[lexicon.keyword_names[index] for index in pick] for pick in picks]
    first = runs[0]
    result = []
    for row, name in enumerate(lexicon.keyword_names):
        result.append(
            KeywordReport(
                keyword=name,
                count=first.corpus.keyword_counts[name],
                neighbours=_nearest(name, first.words, neighbours),
                negatives={policy: chosen[policy][0][row] for policy in NEGATIVE_POLICIES},
                votes={
                    policy: Counter(pick[row] for pick in chosen[policy])[chosen[policy][0][row]]
                    for policy in NEGATIVE_POLICIES
                },
            )
        )
    return result


def report_text(reports: Sequence[KeywordReport], *, seeds: int) -> str:
    """The report as a table for a terminal."""
    policies = "".join(f"{policy:20}" for policy in NEGATIVE_POLICIES)
    lines = [f"{'keyword':13}{'count':>7}  {policies}nearest words (cosine)"]
    for item in reports:
        chosen = "".join(
            f"{f'{item.negatives[policy]} {item.votes[policy]}/{seeds}':20}"
            for policy in NEGATIVE_POLICIES
        )
        near = ", ".join(f"{word} {cosine:.2f}" for word, cosine in item.neighbours)
        lines.append(f"{item.keyword:13}{item.count:7}  {chosen}{near or 'never in the text'}")
    return "\n".join(lines)


def _nearest(word: str, words: Mapping[str, Floats32], count: int) -> tuple[tuple[str, float], ...]:
    if word not in words:
        return ()
    names = list(words)
    stacked = np.stack(list(words.values())).astype(np.float64)
    stacked /= np.linalg.norm(stacked, axis=1, keepdims=True)
    cosines = stacked @ stacked[names.index(word)]
    order = [place for place in np.argsort(-cosines, kind="stable") if names[place] != word]
    return tuple((names[place], float(cosines[place])) for place in order[:count])
