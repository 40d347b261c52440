"""A lexicon compiled for matching: every spelling in one word trie, and a sentence as a row of
units.

A unit is the longest spelling found at a place, or a single unknown word. Walking a trie of words
is linear in the sentence, whatever the lexicon holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from attributes.lexicon.entries import Lexicon, Rule, Spelling
from attributes.lexicon.tokens import TOKEN, fold, words_of

# A sentence longer than this is cut: it is a list or a file without line ends, not a sentence.
# Binding is quadratic in the worst case, so the cut is also what keeps a hostile text linear.
MAX_SENTENCE_WORDS = 256
LOCATION_AXES = frozenset({"laterality", "zone"})


class Role:
    """What a unit does in a sentence. Plain numbers, because enum members hash slowly."""

    WORD: Final = 0
    FINDING: Final = 1
    OTHER: Final = 2
    MODIFIER: Final = 3
    RULE: Final = 4
    COMMA: Final = 5
    AND: Final = 6
    OR: Final = 7
    WITH: Final = 8
    PREPOSITION: Final = 9
    VERB: Final = 10
    OPENER: Final = 11
    BREAK: Final = 12
    GLUE: Final = 13
    PARTITIVE: Final = 14
    ARTICLE: Final = 15
    EXCLUDE: Final = 16
    RELATIVE: Final = 17


@dataclass(frozen=True, slots=True)
class Term:
    """The meaning of a spelling: role, the finding it names, the attributes it says, its rule."""

    role: int
    finding: str = ""
    means: tuple[str, ...] = ()
    rule: Rule | None = None
    is_of: bool = False
    describes: bool = True  # false for words of denials such as "focal"


class Unit(NamedTuple):
    """A term at a place: characters `start` to `end` of the sentence.

    A tuple, because half a million of them are made for a corpus and a frozen dataclass costs
    twice.
    """

    term: Term
    role: int
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
        self.finding_words = _finding_words(lexicon)
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
        denied = lexicon.syntax.denied_attributes
        for name, variants in lexicon.variants_of.items():
            term = Term(Role.MODIFIER, means=(name,), describes=name not in denied)
            self._add(variants, term)
        self._add(syntax.breakers, Term(Role.BREAK))
        self._add(syntax.relatives, Term(Role.RELATIVE))
        self._add(syntax.excluders, Term(Role.EXCLUDE))
        self._add(syntax.openers, Term(Role.OPENER))
        self._add(syntax.alternatives, Term(Role.OR))
        self._add(syntax.coordinators, Term(Role.AND))
        self._add(syntax.companions, Term(Role.WITH))
        self._add(syntax.partitives, Term(Role.PARTITIVE))
        self._add(syntax.of, Term(Role.PREPOSITION, is_of=True))
        self._add(syntax.prepositions, Term(Role.PREPOSITION))
        self._add(syntax.verbs, Term(Role.VERB))
        self._add(syntax.articles, Term(Role.ARTICLE))
        self._add(syntax.glue, Term(Role.GLUE))

    def _add(self, spellings: Iterable[Spelling], term: Term) -> None:
        for spelling in spellings:
            node = self.root
            for word in spelling:
                node = node.setdefault(word, {})
            node.setdefault(None, term)

    def mentions_finding(self, words: Iterable[str]) -> bool:
        """Whether a finding can be among folded words: a fast no for most sentences."""
        return not self.finding_words.isdisjoint(words)

    def units(self, sentence: str) -> list[Unit]:
        """The units of a sentence; anonymisation marks are dropped, unknown words are kept."""
        words = words_of(sentence)
        spans = [match.span() for match in TOKEN.finditer(sentence)]
        if not self.placeholders.isdisjoint(words):
            kept = [place for place, word in enumerate(words) if word not in self.placeholders]
            words = [words[place] for place in kept]
            spans = [spans[place] for place in kept]
        units: list[Unit] = []
        count, place, root = len(words), 0, self.root
        while place < count:
            node = root.get(words[place])
            start, end = spans[place]
            if node is None:
                units.append(Unit(UNKNOWN, Role.WORD, start, end))
                place += 1
                continue
            found, stop, ahead = UNKNOWN, place + 1, place + 1
            while node is not None:
                term = node.get(None)
                if term is not None:
                    found, stop = term, ahead
                node = node.get(words[ahead]) if ahead < count else None
                ahead += 1
            units.append(Unit(found, found.role, start, spans[stop - 1][1]))
            place = stop
        return units


def _finding_words(lexicon: Lexicon) -> frozenset[str]:
    """Words of which every spelling of a finding holds one, chosen to be rare elsewhere."""
    elsewhere: Counter[str] = Counter()
    spellings: list[Spelling] = [*lexicon.others]
    for variants in lexicon.variants_of.values():
        spellings += variants
    for rule in lexicon.rules:
        spellings += rule.spellings
    syntax = lexicon.syntax
    for spelling in (
        *spellings,
        *syntax.glue,
        *syntax.prepositions,
        *syntax.verbs,
        *syntax.partitives,
    ):
        elsewhere.update(spelling)
    chosen: set[str] = set()
    for kind in lexicon.findings:
        for spelling in (*kind.spellings, *(s for item in kind.carries for s in item.spellings)):
            if chosen.isdisjoint(spelling):
                chosen.add(min(spelling, key=lambda word: (elsewhere[word], -len(word))))
    return frozenset(chosen)
