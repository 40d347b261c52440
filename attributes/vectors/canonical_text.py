"""Canonical text for the word vectors: one word for each keyword and finding.

"Bibasilar ground-glass opacities" becomes `bilateral basal hazy opacity`. On raw tokens the nearest
word of a keyword is often its own synonym ("basilar" - "basal"), and rare keywords fall below the
minimum count; after this step spellings share their counts.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from attributes.grammar.units import Grammar, Role
from attributes.lexicon.tokens import words_of
from attributes.reports import Report
from attributes.structure import Structurer


@dataclass(frozen=True)
class CanonicalCorpus:
    """What was written: sentences, words, how often each keyword occurs, and the checksum."""

    sentences: int
    words: int
    keyword_counts: dict[str, int]
    sha256: str


class CanonicalWord(NamedTuple):
    """A canonical word and the characters of the sentence that it stands for."""

    word: str
    start: int
    end: int


def canonical_words(sentence: str, grammar: Grammar) -> list[str]:
    """The canonical words of a sentence; punctuation and numbers are dropped.

    >>> canonical_words("Bibasilar opacities.", grammar)
    ['bilateral', 'basal', 'opacity']
    """
    return [found.word for found in placed_canonical_words(sentence, grammar)]


def placed_canonical_words(sentence: str, grammar: Grammar) -> list[CanonicalWord]:
    """The canonical words of a sentence with their places.

    Words of one spelling share its place.
    """
    words: list[CanonicalWord] = []
    for unit in grammar.units(sentence):
        term = unit.term
        names: Iterable[str]
        if unit.role == Role.MODIFIER:
            names = term.means
        elif unit.role == Role.FINDING:
            names = (*term.means, term.finding)
        else:
            names = (w for w in words_of(sentence[unit.start : unit.end]) if w[0].isalpha())
        words += [CanonicalWord(name, unit.start, unit.end) for name in names]
    return words


def write_canonical_corpus(
    reports: Iterable[Report], structurer: Structurer, path: Path
) -> CanonicalCorpus:
    """Write one canonical sentence a line, in the order of the reports; memory does not grow."""
    digest = hashlib.sha256()
    counts: Counter[str] = Counter(dict.fromkeys(structurer.lexicon.keyword_names, 0))
    sentences = words = 0
    with path.open("w", encoding="utf-8", newline="\n") as handle:
        for report in reports:
            for section, text in report.sections:
                for part in structurer.read_parts(text, section):
                    for start, end in structurer.sentences.spans(part.text):
                        found = canonical_words(part.text[start:end], structurer.grammar)
                        if len(found) < 2:  # a word alone has no context to learn from
                            continue
                        line = " ".join(found) + "\n"
                        handle.write(line)
                        digest.update(line.encode())
                        sentences += 1
                        words += len(found)
                        for word in found:
                            if word in counts:
                                counts[word] += 1
    return CanonicalCorpus(sentences, words, dict(counts), digest.hexdigest())
