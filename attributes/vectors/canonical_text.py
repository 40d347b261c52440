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


def canonical_words(sentence: str, grammar: Grammar) -> list[str]:
    """The canonical words of a sentence; punctuation and numbers are dropped.

    >>> canonical_words("Bibasilar opacities.", grammar)
    ['bilateral', 'basal', 'opacity']
    """
    words: list[str] = []
    for unit in grammar.units(sentence):
        term = unit.term
        if unit.role == Role.MODIFIER:
            words += term.means
        elif unit.role == Role.FINDING:
            words += [*term.means, term.finding]
        else:
            words += [
                word for word in words_of(sentence[unit.start : unit.end]) if word[0].isalpha()
            ]
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
