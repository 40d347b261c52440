"""Scoring against gold sentences: findings, assertions and the binding of attributes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial

from attributes.lexicon.entries import ASSERTIONS
from attributes.scoring.gold_sentences import GoldSentence, Mention
from attributes.scoring.measures import Measure, measure
from attributes.structure import Structurer

Pair = tuple[Mention | None, Mention | None]
Counts = tuple[int, int, int]  # hits, gold, found
CountPairs = Callable[[Sequence[Pair]], Counts]


@dataclass(frozen=True)
class SentenceScore:
    """A sentence with what was found in it; `pairs` aligns gold and found mentions."""

    gold: GoldSentence
    found: tuple[Mention, ...]
    pairs: tuple[Pair, ...]

    @property
    def errors(self) -> int:
        """Mentions missed or made up, wrong assertions, and attributes too many or too few."""
        total = 0
        for gold, found in self.pairs:
            if gold is None or found is None:
                total += 1
            else:
                total += (gold.assertion != found.assertion) + len(
                    gold.attributes ^ found.attributes
                )
        return total


@dataclass(frozen=True)
class GoldScore:
    """The scores of a gold file.

    `detection`: finding types; `assertions`: type and assertion both right; `binding`: (finding,
    attribute) pairs of aligned mentions and of those missed or made up. `confusion` counts gold
    assertion against found assertion, with "missed" and "made up".
    """

    sentences: tuple[SentenceScore, ...]
    detection: Measure
    assertions: Measure
    binding: Measure
    by_finding: dict[str, Measure]
    by_assertion: dict[str, Measure]
    by_attribute: dict[str, Measure]
    by_difficulty: dict[str, tuple[Measure, Measure]]
    confusion: dict[tuple[str, str], int]

    def worst(self, count: int) -> list[SentenceScore]:
        """The sentences with most errors, in file order among equals."""
        wrong = [score for score in self.sentences if score.errors]
        return sorted(wrong, key=lambda score: -score.errors)[:count]


def align(gold: Sequence[Mention], found: Sequence[Mention]) -> tuple[Pair, ...]:
    """Pair mentions of the same finding in order (longest common subsequence), others with None."""
    matcher = SequenceMatcher(
        a=[mention.finding for mention in gold],
        b=[mention.finding for mention in found],
        autojunk=False,
    )
    pairs: list[Pair] = []
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            pairs += zip(gold[a:b], found[c:d], strict=True)
        else:
            pairs += [(mention, None) for mention in gold[a:b]]
            pairs += [(None, mention) for mention in found[c:d]]
    return tuple(pairs)


def mentions_of(text: str, structurer: Structurer) -> tuple[Mention, ...]:
    """What the structurer finds in a text, in the form of the gold."""
    return tuple(
        Mention(item.finding, item.assertion, frozenset(item.attributes))
        for sentence in structurer.structure(text)
        for item in sentence.findings
    )


def score_gold(gold: Iterable[GoldSentence], structurer: Structurer, *, seed: int = 0) -> GoldScore:
    """Structure every gold sentence and compare."""
    sentences: list[SentenceScore] = []
    for sentence in gold:
        found = mentions_of(sentence.text, structurer)
        sentences.append(SentenceScore(sentence, found, align(sentence.mentions, found)))
    names = [kind.name for kind in structurer.lexicon.findings]
    attributes = list(structurer.lexicon.axis_of)
    difficulties = sorted({score.gold.difficulty for score in sentences})

    def over(chosen: Iterable[SentenceScore], count: CountPairs) -> Measure:
        return measure([count(score.pairs) for score in chosen], seed=seed)

    return GoldScore(
        sentences=tuple(sentences),
        detection=over(sentences, count_detection),
        assertions=over(sentences, count_assertions),
        binding=over(sentences, count_binding),
        by_finding={name: over(sentences, partial(_count_finding, name=name)) for name in names},
        by_assertion={
            name: over(sentences, partial(_count_assertion, name=name)) for name in ASSERTIONS
        },
        by_attribute={
            name: over(sentences, partial(count_binding, only=name)) for name in attributes
        },
        by_difficulty={
            name: (
                over([s for s in sentences if s.gold.difficulty == name], count_assertions),
                over([s for s in sentences if s.gold.difficulty == name], count_binding),
            )
            for name in difficulties
        },
        confusion=_confusion(sentences),
    )


def count_detection(pairs: Sequence[Pair]) -> Counts:
    """Hits, gold and found of finding types."""
    both = sum(gold is not None and found is not None for gold, found in pairs)
    return both, sum(g is not None for g, _ in pairs), sum(f is not None for _, f in pairs)


def count_assertions(pairs: Sequence[Pair]) -> Counts:
    """As `count_detection`, a hit needs the right assertion too."""
    _, gold_count, found_count = count_detection(pairs)
    hits = sum(g is not None and f is not None and g.assertion == f.assertion for g, f in pairs)
    return hits, gold_count, found_count


def count_binding(pairs: Sequence[Pair], *, only: str = "") -> Counts:
    """Hits, gold and found of (finding, attribute) pairs, of one attribute if `only` names it."""
    hits = gold_count = found_count = 0
    for gold, found in pairs:
        truth = gold.attributes if gold else frozenset[str]()
        given = found.attributes if found else frozenset[str]()
        if only:
            truth, given = truth & {only}, given & {only}
        hits += len(truth & given)
        gold_count += len(truth)
        found_count += len(given)
    return hits, gold_count, found_count


def _count_assertion(pairs: Sequence[Pair], name: str) -> Counts:
    gold = sum(g is not None and g.assertion == name for g, _ in pairs)
    found = sum(f is not None and f.assertion == name for _, f in pairs)
    hits = sum(
        g is not None and f is not None and g.assertion == f.assertion == name for g, f in pairs
    )
    return hits, gold, found


def _count_finding(pairs: Sequence[Pair], name: str) -> Counts:
    return count_assertions(
        [pair for pair in pairs if any(side is not None and side.finding == name for side in pair)]
    )


def _confusion(sentences: Iterable[SentenceScore]) -> dict[tuple[str, str], int]:
    counts: Counter[tuple[str, str]] = Counter()
    for score in sentences:
        for gold, found in score.pairs:
            counts[
                gold.assertion if gold else "made up", found.assertion if found else "missed"
            ] += 1
    return dict(counts)
