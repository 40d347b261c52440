"""`stem_lexicon`: a lexicon for reports that were published as word stems, such as PadChest's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from typing import Any

from attributes.lexicon.entries import (
    Compound,
    FindingType,
    Keyword,
    Lexicon,
    Rule,
    Spelling,
)
from attributes.lexicon.tokens import words_of
from data_manifests.support.errors import ConfigError

# Where stems make two rules alike, a hedge wins: it masks a target, a denial makes a negative.
# "ya no se observa" loses the word that tells it from "no se observa": the denial is commoner.
KIND_ORDER = ("pre_uncertainty", "uncertainty", "affirmation", "negation", "resolution")

# Roles of the syntax that are no spellings.
NOT_STEMMED = frozenset(
    {"denied_attributes", "abbreviations", "placeholders", "answers", "capitals"}
)

Stem = Callable[[str], str]


def snowball(language: str) -> Stem:
    """The Snowball stemmer of a language. Raises ConfigError for an unknown one."""
    from snowballstemmer import algorithms, stemmer

    if language not in algorithms():
        raise ConfigError(f"stemmer: expected one of {', '.join(algorithms())}, got `{language}`")
    stem: Stem = stemmer(language).stemWord
    return stem


def stem_lexicon(lexicon: Lexicon, stem: Stem, dropped: Iterable[str], language: str) -> Lexicon:
    """`lexicon` with every word stemmed, without the words that such reports have lost.

    A spelling that loses all its words disappears. Published stems are not quite those of Snowball
    (accents were lost before or after stemming), so that each word stands for the stem of the word
    with and without its last letter; both are spellings.
    """
    stems = _Stems(stem, frozenset(dropped))
    rules: dict[str, Rule] = {}
    taken: set[Spelling] = set(stems.of(lexicon.others))  # "sin hallazg" is a statement
    for kind in lexicon.findings:
        taken |= set(stems.of(kind.spellings))
    for rule in sorted(lexicon.rules, key=lambda rule: KIND_ORDER.index(rule.kind)):
        spellings = tuple(s for s in stems.of(rule.spellings) if s not in taken)
        taken |= set(spellings)
        if spellings:
            rules[rule.id] = replace(rule, spellings=spellings)
    roles: dict[str, Any] = {  # Any: each role has its own name as keyword
        role.name: stems.of(getattr(lexicon.syntax, role.name))
        for role in fields(lexicon.syntax)
        if role.name not in NOT_STEMMED
    }
    syntax = replace(lexicon.syntax, **roles)
    return replace(
        lexicon,
        language=language,
        keywords=tuple(_keyword(item, stems) for item in lexicon.keywords),
        modifiers=tuple(
            replace(item, variants=stems.of(item.variants)) for item in lexicon.modifiers
        ),
        compounds=tuple(_compound(item, stems) for item in lexicon.compounds),
        findings=tuple(_finding(item, stems) for item in lexicon.findings),
        others=stems.of(lexicon.others),
        syntax=syntax,
        rules=tuple(rules[rule.id] for rule in lexicon.rules if rule.id in rules),
    )


class _Stems:
    def __init__(self, stem: Stem, dropped: frozenset[str]) -> None:
        self._stem, self._dropped = stem, dropped

    def of(self, spellings: Iterable[Spelling]) -> tuple[Spelling, ...]:
        """The stemmed spellings, each once."""
        found: dict[Spelling, None] = {}
        for spelling in spellings:
            words = [word for word in spelling if word not in self._dropped]
            if not words:
                continue
            found[tuple(self._stem(word) for word in words)] = None
            # "neumonia" was published as "neumon" and "neumoni", "condensacion" as itself.
            if len(words) <= 2:
                last = words[-1]
                for other in (last, last[:-1] if last[-1] in "aeo" else last):
                    found[(*(self._stem(word) for word in words[:-1]), other)] = None
        return tuple(found)


def _keyword(item: Keyword, stems: _Stems) -> Keyword:
    return replace(item, variants=stems.of(item.variants), compounds=stems.of(item.compounds))


def _compound(item: Compound, stems: _Stems) -> Compound:
    return replace(item, spellings=stems.of(item.spellings))


def _finding(item: FindingType, stems: _Stems) -> FindingType:
    return replace(
        item,
        spellings=stems.of(item.spellings),
        carries=tuple(_compound(child, stems) for child in item.carries),
        subjects=stems.of(item.subjects),
        predicates=stems.of(item.predicates),
        also_stated_by=stems.of(item.also_stated_by),
    )


def dropped_words(texts: Iterable[str]) -> frozenset[str]:
    """The words of a list of texts, folded as in a lexicon."""
    return frozenset(word for text in texts for word in words_of(text))
