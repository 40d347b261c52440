"""`Grammar`: a lexicon compiled for matching, and a sentence as a row of units.

All spellings stand in one trie of words. A unit is the longest spelling at a place, or a single
unknown word; walking the trie is linear in the sentence, whatever the lexicon holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from attributes.grammar.spelling import CorrectedWords
from attributes.grammar.tick_boxes import MAY_HOLD_BOX, without_tick_boxes
from attributes.lexicon.entries import Lexicon, Rule, Spelling
from attributes.lexicon.tokens import TOKEN, fold

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
    """The meaning of a spelling: role, the finding it names, the attributes it states, its rule.

    `subject` is the finding of which a noun is the subject ("heart"), `predicate_of` the findings
    that a word states of their subjects ("enlarged"). `is_degree`: the attribute is a degree;
    `is_adverb`: and an adverb ("slightly"); `is_change`: a change for better or worse;
    `is_course`: any word on change, "new" and "stable" too;
    `also`: other findings that it names; `is_pronoun`: "those", for a finding named before;
    `is_neighbour`: "adjacent", on the side of the noun before;
    `is_predicate`: a verb, or a rule about what stands before it ("is not seen").
    What follows a preposition that `is_given` is there; an attribute that `is_forward` belongs to
    the next noun ("development of"). `describes` is false for words of denials ("focal").
    """

    role: int
    finding: str = ""
    means: tuple[str, ...] = ()
    rule: Rule | None = None
    is_of: bool = False
    is_slash: bool = False
    is_colon: bool = False
    is_direction: bool = False
    is_given: bool = False
    is_forward: bool = False
    is_determiner: bool = False
    describes: bool = True
    subject: str = ""
    predicate_of: frozenset[str] = frozenset()
    is_degree: bool = False
    is_adverb: bool = False
    is_size: bool = False
    is_change: bool = False
    is_course: bool = False
    also: tuple[str, ...] = ()
    is_dash: bool = False
    is_pronoun: bool = False
    is_neighbour: bool = False
    is_predicate: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        is_predicate = self.role in (Role.VERB, Role.OPENER) or (
            self.rule is not None and self.rule.direction.startswith("backward")
        )
        object.__setattr__(self, "is_predicate", is_predicate)


class Unit(NamedTuple):
    """A term at characters `start` to `end` of the sentence.

    A tuple, because half a million of them are made for a corpus and a frozen dataclass costs
    twice.
    """

    term: Term
    role: int
    start: int
    end: int


UNKNOWN = Term(Role.WORD)
GLUE = Term(Role.GLUE)
PUNCTUATION = {
    ",": Term(Role.COMMA),
    "(": Term(Role.COMMA),
    ")": Term(Role.COMMA),
    "-": Term(Role.COMMA, is_dash=True),
    ";": Term(Role.BREAK),
    "&": Term(Role.AND),
    "/": Term(Role.AND, is_slash=True),
    # "Left lung: patchy opacity" reads as "the left lung shows patchy opacity".
    ":": Term(Role.VERB, is_colon=True),
    "<": Term(Role.GLUE),
    "=": Term(Role.GLUE),
    "+": Term(Role.GLUE),
}
# A question mark apart from the word before it asks about what follows ("?pneumonia").
ASKS_BEFORE, ASKS_AFTER = "¿", "?"
MAX_MARKS = 6  # "???pneumonia": marks that are read as one
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
        self.outside_lung = frozenset(kind.name for kind in lexicon.findings if kind.outside_lung)
        self.placeholders = frozenset(fold(text) for text in lexicon.syntax.placeholders)
        self.capitals = frozenset(fold(text) for text in lexicon.syntax.capitals)
        self.apart = frozenset(kind.name for kind in lexicon.findings if kind.apart)
        self.location = frozenset(
            name for name, axis in self.axis_of.items() if axis in LOCATION_AXES
        )
        self.change = frozenset(name for name, axis in self.axis_of.items() if axis == "change")
        self.root: Node = {}
        self._fill()
        self.words = CorrectedWords(_words_of_trie(self.root), _words_to_mend(lexicon))
        self.finding_words = _finding_words(lexicon)

    def _fill(self) -> None:
        lexicon, syntax = self.lexicon, self.lexicon.syntax
        # First come, first served: a spelling with two roles keeps the one added first.
        for word, term in PUNCTUATION.items():
            self._add([(word,)], term)
        givens = frozenset(syntax.givens)
        for rule in lexicon.rules:
            # "after" states of an illness that it is over, and stays a preposition.
            words = [spelling for spelling in rule.spellings if spelling in givens]
            self._add(words, Term(Role.PREPOSITION, is_given=True, rule=rule))
            # Beside findings that it is not about, the words of such a rule are plain words.
            role = Role.WORD if rule.only else Role.RULE
            self._add(rule.spellings, self._term(role, rule.means, rule=rule))
        predicates: dict[Spelling, set[str]] = {}
        also: dict[Spelling, tuple[str, ...]] = {}
        for kind in lexicon.findings:
            for spelling in kind.also_stated_by:
                also[spelling] = (*also.get(spelling, ()), kind.name)
        others = frozenset(lexicon.others)
        for kind in lexicon.findings:
            for item in kind.carries:
                self._add(item.spellings, Term(Role.FINDING, kind.name, item.means))
            for spelling in also.keys() & set(kind.spellings):
                self._add([spelling], Term(Role.FINDING, kind.name, also=also[spelling]))
            self._add(kind.spellings, Term(Role.FINDING, kind.name))
            for spelling in kind.subjects:
                role = Role.OTHER if spelling in others else Role.WORD
                self._add([spelling], Term(role, subject=kind.name))
            for spelling in kind.predicates:
                predicates.setdefault(spelling, set()).add(kind.name)
        means_of = {
            spelling: name
            for name, variants in lexicon.variants_of.items()
            for spelling in variants
        }
        for spelling, names in predicates.items():
            # "The heart is enlarged" states a finding, "enlarged effusion" an attribute.
            means = (means_of[spelling],) if spelling in means_of else ()
            self._add([spelling], Term(Role.WORD, means=means, predicate_of=frozenset(names)))
        self._add(lexicon.others, Term(Role.OTHER))
        for item in lexicon.compounds:
            self._add(item.spellings, self._term(Role.MODIFIER, item.means))
        denied = syntax.denied_attributes
        adverbs = frozenset(syntax.degree_adverbs)
        for name, variants in lexicon.variants_of.items():
            term = self._term(Role.MODIFIER, (name,), describes=name not in denied)
            forward = frozenset(v for v in variants if len(v) > 1 and v[-1:] in syntax.of)
            self._add([v for v in variants if v not in adverbs | forward], term)
            self._add(forward, replace(term, is_forward=True))
            self._add([v for v in variants if v in adverbs], replace(term, is_adverb=True))
        self._add(syntax.degree_adverbs, Term(Role.WORD, is_degree=True, is_adverb=True))
        self._add(syntax.breakers, Term(Role.BREAK))
        self._add(syntax.relatives, Term(Role.RELATIVE))
        self._add(syntax.excluders, Term(Role.EXCLUDE))
        self._add(syntax.openers, Term(Role.OPENER))
        self._add(syntax.alternatives, Term(Role.OR))
        self._add(syntax.coordinators, Term(Role.AND))
        self._add(syntax.companions, Term(Role.WITH))
        self._add(syntax.partitives, Term(Role.PARTITIVE))
        self._add(
            [spelling for spelling in syntax.neighbours if spelling in syntax.prepositions],
            Term(Role.PREPOSITION, is_neighbour=True),
        )
        self._add(syntax.neighbours, Term(Role.WORD, is_neighbour=True))
        self._add(syntax.of, Term(Role.PREPOSITION, is_of=True))
        self._add(syntax.givens, Term(Role.PREPOSITION, is_given=True))
        self._add(syntax.directions, Term(Role.PREPOSITION, is_direction=True))
        self._add(syntax.prepositions, Term(Role.PREPOSITION))
        self._add(syntax.verbs, Term(Role.VERB))
        self._add(syntax.articles, Term(Role.ARTICLE))
        self._add(syntax.pronouns, Term(Role.GLUE, is_determiner=True, is_pronoun=True))
        self._add(syntax.determiners, Term(Role.GLUE, is_determiner=True))
        self._add(syntax.glue, GLUE)

    def _term(
        self,
        role: int,
        means: tuple[str, ...],
        *,
        rule: Rule | None = None,
        describes: bool = True,
    ) -> Term:
        axes = {self.axis_of.get(name, "") for name in means}
        is_other_change = axes == {"change"} and not {"new", "stable"} & set(means)
        return Term(
            role,
            means=means,
            rule=rule,
            describes=describes,
            is_degree=axes == {"severity"},
            is_size="size" in axes or axes == {"extent", "severity"},
            is_course="change" in axes,
            is_change=is_other_change or (rule is not None and axes == {"change"}),
        )

    def _add(self, spellings: Iterable[Spelling], term: Term) -> None:
        for spelling in spellings:
            node = self.root
            for word in spelling:
                node = node.setdefault(word, {})
            node.setdefault(None, term)

    def words_of(self, text: str) -> list[str]:
        """The folded and corrected words of a text, in order."""
        return list(map(self.words.__getitem__, TOKEN.findall(text)))

    def finding_units(self, sentence: str) -> list[Unit]:
        """The units of a sentence that may state a finding, nothing for most others."""
        words = self.words_of(sentence)
        return [] if self.finding_words.isdisjoint(words) else self._units(sentence, words)

    def units(self, sentence: str) -> list[Unit]:
        """The units of a sentence; anonymisation marks are dropped, unknown words are kept."""
        return self._units(sentence, self.words_of(sentence))

    def _units(self, sentence: str, words: list[str]) -> list[Unit]:
        marked = sentence.replace("(?)", " ? ")
        if MAY_HOLD_BOX.search(marked):
            marked = without_tick_boxes(marked, self.finding_words)
        if marked != sentence:
            sentence, words = marked, self.words_of(marked)
        spans = [match.span() for match in TOKEN.finditer(sentence)]
        if not self.placeholders.isdisjoint(words):
            places = [place for place, word in enumerate(words) if word not in self.placeholders]
            words = [words[place] for place in places]
            spans = [spans[place] for place in places]
        if ASKS_AFTER in words or not self.capitals.isdisjoint(words):
            words = [
                self._in_context(word, sentence, *span)
                for word, span in zip(words, spans, strict=True)
            ]
        units: list[Unit] = []
        words = [*words, ""]  # no word of the trie: every walk ends
        place, stop, root, new = 0, len(spans), self.root, tuple.__new__
        while place < stop:
            first = place
            found = UNKNOWN
            node = root.get(words[place])
            place += 1
            ahead = place
            while node is not None:
                term = node.get(None)
                if term is not None:
                    found, place = term, ahead
                node = node.get(words[ahead])
                ahead += 1
            # Unit(...) of a named tuple costs twice.
            units.append(new(Unit, (found, found.role, spans[first][0], spans[place - 1][1])))
        return units

    def _in_context(self, word: str, sentence: str, start: int, end: int) -> str:
        """Question marks by their place, and "R" for right only as a capital: not "r", not "L1"."""
        if word == ASKS_AFTER:
            before = sentence[max(start - MAX_MARKS, 0) : start].rstrip(ASKS_AFTER)[-1:]
            return ASKS_BEFORE if not before or before.isspace() or before == "(" else ASKS_AFTER
        if word in self.capitals:
            is_side = sentence[start].isupper() and not sentence[end : end + 1].isdigit()
            is_slashed = sentence[end : end + 1] == "/" or sentence[start - 1 : start] == "/"
            return word if is_side or (is_slashed and end - start == 1) else f"{word}."
        return word


def _words_of_trie(root: Node) -> frozenset[str]:
    words: set[str] = set()
    nodes = [root]
    while nodes:
        for word, node in nodes.pop().items():
            if word is not None:
                words.add(word)
                nodes.append(node)
    return frozenset(words)


def _words_to_mend(lexicon: Lexicon) -> set[str]:
    """The words of findings and attributes."""
    spellings: list[Spelling] = [s for item in lexicon.compounds for s in item.spellings]
    for variants in lexicon.variants_of.values():
        spellings += variants
    for kind in lexicon.findings:
        spellings += (*kind.spellings, *(s for item in kind.carries for s in item.spellings))
    return {word for spelling in spellings for word in spelling}


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
        for spelling in (
            *kind.spellings,
            *kind.predicates,
            *(s for item in kind.carries for s in item.spellings),
        ):
            if chosen.isdisjoint(spelling):
                chosen.add(min(spelling, key=lambda word: (elsewhere[word], -len(word))))
    return frozenset(chosen)
