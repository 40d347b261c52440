"""A lexicon compiled for matching: every spelling in one word trie, and a sentence as a row of units.

A unit is the longest spelling found at a place, or a single unknown word. Walking a trie of words is
linear in the sentence, whatever the lexicon holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from attributes.lexicon import Lexicon, Rule, Spelling
from attributes.tokens import TOKEN, fold

# A sentence longer than this is cut: it is a list or a file without line ends, not a sentence. Binding
# is quadratic in the worst case, so the cut is also what keeps a hostile text linear.
MAX_SENTENCE_WORDS = 256
LOCATION_AXES = frozenset({"laterality", "zone"})


class Role(IntEnum):
    """What a unit does in a sentence."""

    WORD = 0
    FINDING = 1
    OTHER = 2
    MODIFIER = 3
    RULE = 4
    COMMA = 5
    AND = 6
    OR = 7
    WITH = 8
    PREPOSITION = 9
    VERB = 10
    OPENER = 11
    BREAK = 12
    GLUE = 13
    PARTITIVE = 14


@dataclass(frozen=True, slots=True)
class Term:
    """The meaning of a spelling: its role, the finding it names, the attributes it says, its rule."""

    role: Role
    finding: str = ""
    means: tuple[str, ...] = ()
    rule: Rule | None = None
    is_of: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """A term at a place: characters `start` to `end` of the sentence."""

    term: Term
    role: Role
    start: int
    end: int


UNKNOWN = Term(Role.WORD)
PUNCTUATION = {
    ",": Term(Role.COMMA),
    "(": Term(Role.COMMA),
    ")": Term(Role.COMMA),
    ";": Term(Role.BREAK),
    # "Left lung: patchy opacity" reads as "the left lung shows patchy opacity".
    ":": Term(Role.VERB),
}
# Any: a trie node maps a word to the next node and None to the Term that ends here.
Node = dict[Any, Any]


class Grammar:
    """The trie of a lexicon and what binding needs to know about attribute axes."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.axis_of = lexicon.axis_of
        self.rank_of = {name: rank for rank, name in enumerate(self.axis_of)}
        self.pneumonia_like = lexicon.pneumonia_like
        self.adjectives_follow = lexicon.modifier_order == "after"
        self.placeholders = frozenset(
            word for text in lexicon.syntax.placeholders for word in [fold(text)]
        )
        self.location = frozenset(
            name for name, axis in self.axis_of.items() if axis in LOCATION_AXES
        )
        self.change = frozenset(name for name, axis in self.axis_of.items() if axis == "change")
        self.root: Node = {}
        self._fill()

    def _fill(self) -> None:
        lexicon, syntax = self.lexicon, self.lexicon.syntax
        # First come, first served: a spelling with two roles keeps the one added first.
        for word, term in PUNCTUATION.items():
            self._add([(word,)], term)
        for rule in lexicon.rules:
            self._add(rule.spellings, Term(Role.RULE, means=rule.means, rule=rule))
        for kind in lexicon.findings:
            for item in kind.carries:
                self._add(item.spellings, Term(Role.FINDING, kind.name, item.means))
            self._add(kind.spellings, Term(Role.FINDING, kind.name))
        self._add(lexicon.others, Term(Role.OTHER))
        for item in lexicon.compounds:
            self._add(item.spellings, Term(Role.MODIFIER, means=item.means))
        for entry in (*lexicon.keywords, *lexicon.modifiers):
            self._add(entry.variants, Term(Role.MODIFIER, means=(entry.name,)))
        self._add(syntax.breakers, Term(Role.BREAK))
        self._add(syntax.openers, Term(Role.OPENER))
        self._add(syntax.alternatives, Term(Role.OR))
        self._add(syntax.coordinators, Term(Role.AND))
        self._add(syntax.companions, Term(Role.WITH))
        self._add(syntax.partitives, Term(Role.PARTITIVE))
        self._add(syntax.prepositions[:1], Term(Role.PREPOSITION, is_of=True))
        self._add(syntax.prepositions, Term(Role.PREPOSITION))
        self._add(syntax.verbs, Term(Role.VERB))
        self._add(syntax.glue, Term(Role.GLUE))

    def _add(self, spellings: Iterable[Spelling], term: Term) -> None:
        for spelling in spellings:
            node = self.root
            for word in spelling:
                node = node.setdefault(word, {})
            node.setdefault(None, term)

    def units(self, sentence: str) -> list[Unit]:
        """The units of a sentence; anonymisation marks are dropped, unknown words are kept."""
        words: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        placeholders = self.placeholders
        for match in TOKEN.finditer(sentence):
            word = fold(match.group())
            if word not in placeholders:
                words.append(word)
                starts.append(match.start())
                ends.append(match.end())
        units: list[Unit] = []
        count, place, root = len(words), 0, self.root
        while place < count:
            node = root.get(words[place])
            if node is None:
                units.append(Unit(UNKNOWN, Role.WORD, starts[place], ends[place]))
                place += 1
                continue
            found, stop, ahead = UNKNOWN, place + 1, place + 1
            while node is not None:
                term = node.get(None)
                if term is not None:
                    found, stop = term, ahead
                node = node.get(words[ahead]) if ahead < count else None
                ahead += 1
            units.append(Unit(found, found.role, starts[place], ends[stop - 1]))
            place = stop
        return units
