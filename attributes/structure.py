"""`Structurer`: report text as findings, each with its assertion and attributes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from attributes.grammar.assertion import Decision, decide_assertions
from attributes.grammar.binding import Bound, bind_modifiers, is_placed, share_place
from attributes.grammar.clauses import split_clauses
from attributes.grammar.context import read_in_context
from attributes.grammar.enumeration import enumerated_sides, paired_answers
from attributes.grammar.sections import section_splitter
from attributes.grammar.sentences import SentenceSplitter
from attributes.grammar.units import MAX_SENTENCE_WORDS, Grammar, Role, Unit
from attributes.lexicon.entries import Lexicon
from data_manifests.support.report_sections import ReportPart

# Reports repeat sentences: a cache of this size takes some tens of MB and answers about half.
CACHED_SENTENCES = 50_000
# Longer sentences are not cached, so that the cache stays small whatever the text.
MAX_CACHED_CHARACTERS = 400
# Short texts repeat as a whole ("No acute cardiopulmonary abnormality.").
CACHED_TEXTS = 10_000
MAX_TEXT_CHARACTERS = 200
# A report without findings is unread if fewer of its words than this are in the lexicon.
MIN_KNOWN_SHARE = 0.12
STATES_SOMETHING = frozenset({Role.FINDING, Role.OTHER, Role.MODIFIER, Role.PARTITIVE})
MAX_LOOKED_AT = 20_000  # characters of a part in which known words are looked for
# The opening of a part is enough where this share of its words is known.
OPENING = 200
MIN_KNOWN_OF_OPENING = 0.5


class AttributeWord(NamedTuple):
    """An attribute and the characters of the sentence that state it."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One mention of a finding; all offsets count characters of its sentence.

    `attributes` are the names of `words`, in the order of the lexicon.
    """

    finding: str
    assertion: str
    words: tuple[AttributeWord, ...]
    attributes: tuple[str, ...]
    start: int
    end: int
    rule: str = ""
    is_likely: bool = False


@dataclass(frozen=True, slots=True)
class SentenceFindings:
    """The findings of one sentence, which begins at character `start` of the section's text."""

    section: str
    sentence: str
    start: int
    findings: tuple[Finding, ...]
    is_impression: bool = False


class Structurer:
    """Turns text into findings with one lexicon; keeps a bounded cache of sentences.

    `extended` findings (mass, fracture, ...) are returned only on request.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        *,
        extended: bool = False,
        cached_sentences: int = CACHED_SENTENCES,
    ) -> None:
        self.lexicon = lexicon
        self._left_out = frozenset[str]() if extended else lexicon.extended
        self.grammar = Grammar(lexicon)
        self.sections = section_splitter(lexicon)
        self.sentences = SentenceSplitter(lexicon)
        self._cached_sentences = cached_sentences
        self._cache: OrderedDict[str, tuple[Finding, ...]] = OrderedDict()
        self._cached_texts = CACHED_TEXTS if cached_sentences else 0
        self._texts: OrderedDict[tuple[str, str], list[SentenceFindings]] = OrderedDict()

    def structure_sections(self, sections: Iterable[tuple[str, str]]) -> list[SentenceFindings]:
        """The sentences with findings of a report given as (heading, text) pairs."""
        return [sentence for name, text in sections for sentence in self.structure(text, name)]

    def structure(self, text: str, section: str = "") -> list[SentenceFindings]:
        """The sentences with findings of a report, or of one section of it.

        `section` is the heading of the text, if it has one. Headings inside the text are found;
        sections such as history and comparison are skipped.
        """
        if section and self.sections.is_skipped(section):
            return []
        if len(text) > MAX_TEXT_CHARACTERS or not self._cached_texts:
            return self._structure(text, section)
        key = (section, text)
        known = self._texts.get(key)
        if known is None:
            if len(self._texts) >= self._cached_texts:
                self._texts.popitem(last=False)
            known = self._texts[key] = self._structure(text, section)
        return known.copy()

    def _structure(self, text: str, section: str) -> list[SentenceFindings]:
        result: list[SentenceFindings] = []
        for part in self.sections.split(text, section):
            if part.is_read:
                self._structure_part(part, result)
        return result

    def read_parts(self, text: str, section: str = "") -> list[ReportPart]:
        """The parts of a report, or of one section of it, that describe the film."""
        return [part for part in self.sections.split(text, section) if part.is_read]

    def _structure_part(self, part: ReportPart, result: list[SentenceFindings]) -> None:
        text, cached = part.text, self._cache.get
        for start, end in self.sentences.spans(text):
            sentence = text[start:end]
            found = cached(sentence)
            if found is None:
                found = self.structure_sentence(sentence)
            if found:
                at = part.start + start
                result.append(SentenceFindings(part.name, sentence, at, found, part.is_impression))

    def why_unread(self, sections: Iterable[tuple[str, str]]) -> str:
        """Why nothing was read of a report without findings; empty where it was read.

        "without text", "with skipped sections only", or "without known words": a text in another
        language, or one that only refers to something else ("see report"), is no normal report.
        """
        texts = [(name, text) for name, text in sections if text.strip()]
        if not texts:
            return "without text"
        parts = [part for name, text in texts for part in self.read_parts(text, name)]
        if not parts:
            return "with skipped sections only"
        is_known = self._is_known(parts, OPENING, MIN_KNOWN_OF_OPENING) or self._is_known(
            parts, MAX_LOOKED_AT, MIN_KNOWN_SHARE
        )
        return "" if is_known else "without known words"

    def _is_known(self, parts: Iterable[ReportPart], characters: int, min_share: float) -> bool:
        """Whether the beginnings of the parts name something and hold this share of known words."""
        known = unknown = 0
        has_noun = False
        for part in parts:
            for unit in self.grammar.units(part.text[:characters]):
                role = unit.role
                if role == Role.WORD:
                    unknown += 1
                elif role != Role.COMMA and role != Role.BREAK:
                    known += 1
                    has_noun = has_noun or role in STATES_SOMETHING
        return has_noun and known >= min_share * (known + unknown)

    def structure_sentence(self, sentence: str) -> tuple[Finding, ...]:
        """The findings of one sentence."""
        cache = self._cache
        known = cache.get(sentence)
        if known is not None:
            return known
        found = self._structure_sentence(sentence)
        if len(sentence) <= MAX_CACHED_CHARACTERS and self._cached_sentences:
            if len(cache) >= self._cached_sentences:
                cache.popitem(last=False)
            cache[sentence] = found
        return found

    def _structure_sentence(self, sentence: str) -> tuple[Finding, ...]:
        units = self.grammar.finding_units(sentence)
        if not units:
            return ()
        units = read_in_context(units, self.grammar)
        if not any([unit.role == Role.FINDING for unit in units]):
            return ()
        found: list[Finding] = []
        for row in paired_answers(units):
            for start in range(0, len(row), MAX_SENTENCE_WORDS):
                found += structure_units(row[start : start + MAX_SENTENCE_WORDS], self.grammar)
        return tuple([item for item in found if item.finding not in self._left_out])


def structure_units(units: Sequence[Unit], grammar: Grammar) -> list[Finding]:
    """The findings of a sentence given as units, in the order of their mentions."""
    bound: Bound = {}
    decisions: dict[int, Decision] = {}
    for clause in split_clauses(units):
        bound |= bind_modifiers(units, clause, grammar)
        decisions |= decide_assertions(units, clause)
    _share_with_explanations(units, bound, decisions, grammar)
    findings = []
    for index, decision in decisions.items():
        unit = units[index]
        named = bound[index]
        if decision.means:
            named = [*named, *decision.means]
        rule = decision.rule
        for part in enumerated_sides(units, index, named) if len(named) > 1 else [named]:
            words = _attribute_words(units, part, decision, grammar)
            names = tuple([word.name for word in words])
            for finding in (unit.term.finding, *unit.term.also):
                findings.append(
                    Finding(
                        finding,
                        decision.assertion,
                        words,
                        names,
                        unit.start,
                        unit.end,
                        decision.rule_id,
                        rule is not None and rule.likely,
                    )
                )
    return findings


def _attribute_words(
    units: Sequence[Unit], named: Sequence[tuple[str, int]], decision: Decision, grammar: Grammar
) -> tuple[AttributeWord, ...]:
    """Every attribute once, with the first words that state it, in the order of the lexicon."""
    if not named:
        return ()
    places: dict[str, int] = {}
    for name, place in named:
        if name not in places or place < places[name]:
            places[name] = place
    rule = decision.rule
    if rule is not None:
        is_condition = rule.reach == "comma"
        if is_condition or decision.assertion == "absent" or decision.assertion == "resolved":
            for name in grammar.change:
                places.pop(name, None)  # what is not there, or only supposed, does not change
    names = sorted(places, key=grammar.rank_of.__getitem__) if len(places) > 1 else places
    words = []
    for name in names:
        unit = units[places[name]]
        words.append(AttributeWord(name, unit.start, unit.end))
    return tuple(words)


def _may_explain(place: int, source: Decision | None, target: Decision) -> bool:
    """Whether the target explains the noun at `place`: a finding, or another noun (None)."""
    if source is None:
        return place < target.link_unit
    return source.link_unit != target.link_unit and source.assertion in ("present", "uncertain")


def _share_with_explanations(
    units: Sequence[Unit], bound: Bound, decisions: dict[int, Decision], grammar: Grammar
) -> None:
    """ "Left basal opacity may represent pneumonia": the pneumonia is in the left base too.

    A finding decided by a linking rule, and without a place of its own, takes the place of the last
    finding before it that the same rule did not decide; a finding of the lung takes none of one
    outside it ("left effusion, ?pneumonia").
    """
    for index, decision in decisions.items():
        if decision.link_unit < 0:
            continue
        sources = [
            other
            for other in bound
            if other < index
            and _may_explain(other, decisions.get(other), decision)
            and (other in decisions or is_placed(bound[other], grammar))
        ]
        is_in_lung = units[index].term.finding in grammar.pneumonia_like
        if sources and not (is_in_lung and units[sources[-1]].term.finding in grammar.outside_lung):
            share_place(bound, sources[-1], index, grammar)
