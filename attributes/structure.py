"""A report as findings: type, assertion, and the attributes that belong to each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from attributes.grammar.assertion import Decision, decide_assertions
from attributes.grammar.binding import Bound, bind_modifiers
from attributes.grammar.clauses import split_clauses
from attributes.grammar.grammar import MAX_SENTENCE_WORDS, Grammar, Role, Unit
from attributes.grammar.sections import Section, SectionReader
from attributes.grammar.sentences import SentenceSplitter
from attributes.grammar.tokens import words_of
from attributes.lexicon.load import Lexicon

# Reports repeat sentences; a cache of this many is some tens of MB and answers about half of them.
CACHED_SENTENCES = 50_000
# A longer sentence is not cached, so that the cache stays small whatever the text.
MAX_CACHED_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Finding:
    """One mention of a finding. `start` and `end` are character offsets in the section's text."""

    finding: str
    assertion: str
    attributes: tuple[str, ...]
    start: int
    end: int
    rule: str = ""
    is_likely: bool = False


@dataclass(frozen=True, slots=True)
class SentenceFindings:
    """The findings of one sentence, which is characters `start` to `end` of `text`."""

    section: str
    sentence: str
    start: int
    findings: tuple[Finding, ...]


class Structurer:
    """Turns text into findings with one lexicon; keeps a bounded cache of sentences."""

    def __init__(self, lexicon: Lexicon, *, cached_sentences: int = CACHED_SENTENCES) -> None:
        self.lexicon = lexicon
        self.grammar = Grammar(lexicon)
        self.sections = SectionReader(lexicon)
        self.sentences = SentenceSplitter(lexicon)
        self._cached_sentences = cached_sentences
        self._cache: OrderedDict[str, tuple[Finding, ...]] = OrderedDict()

    def structure(self, text: str, section: str = "") -> list[SentenceFindings]:
        """The sentences of a report (or of one named section of it) that hold findings.

        `section` is the name of the section if the text is one; otherwise headings in the text are
        read. Sections such as history and comparison give nothing.
        """
        result: list[SentenceFindings] = []
        for part in self.sections.split(text, section):
            result += self.structure_section(part)
        return result

    def structure_section(self, part: Section) -> list[SentenceFindings]:
        """The sentences of one section that hold findings; offsets are those of the whole text."""
        result: list[SentenceFindings] = []
        text = part.text
        for start, end in self.sentences.spans(text):
            sentence = text[start:end]
            found = self.structure_sentence(sentence)
            if found:
                at = part.start + start
                if at:
                    found = tuple(
                        Finding(
                            f.finding,
                            f.assertion,
                            f.attributes,
                            f.start + at,
                            f.end + at,
                            f.rule,
                            f.is_likely,
                        )
                        for f in found
                    )
                result.append(SentenceFindings(part.name, sentence, at, found))
        return result

    def structure_sentence(self, sentence: str) -> tuple[Finding, ...]:
        """The findings of one sentence; offsets are those of the sentence."""
        cache = self._cache
        known = cache.get(sentence)
        if known is not None:
            return known
        found = self._structure(sentence)
        if len(sentence) <= MAX_CACHED_CHARACTERS and self._cached_sentences:
            if len(cache) >= self._cached_sentences:
                cache.popitem(last=False)
            cache[sentence] = found
        return found

    def _structure(self, sentence: str) -> tuple[Finding, ...]:
        if not self.grammar.mentions_finding(words_of(sentence)):
            return ()
        units = self.grammar.units(sentence)
        if not any(unit.role == Role.FINDING for unit in units):
            return ()
        if len(units) <= MAX_SENTENCE_WORDS:
            return tuple(structure_units(units, self.grammar))
        found: list[Finding] = []
        for start in range(0, len(units), MAX_SENTENCE_WORDS):
            found += structure_units(units[start : start + MAX_SENTENCE_WORDS], self.grammar)
        return tuple(found)


def structure_units(units: Sequence[Unit], grammar: Grammar) -> list[Finding]:
    """The findings of a sentence given as units, in order of their place."""
    bound: Bound = {}
    decisions: dict[int, Decision] = {}
    for clause in split_clauses(units):
        bound |= bind_modifiers(units, clause, grammar)
        decisions |= decide_assertions(units, clause)
    _share_with_explanations(units, bound, decisions, grammar)
    findings = []
    rank = grammar.rank_of.__getitem__
    for index, decision in decisions.items():
        unit = units[index]
        names = {*bound[index], *decision.means}
        if decision.assertion in ("absent", "resolved"):
            names -= grammar.change  # what is not there does not change
        rule = decision.rule
        findings.append(
            Finding(
                unit.term.finding,
                decision.assertion,
                tuple(sorted(names, key=rank)),
                unit.start,
                unit.end,
                decision.rule_id,
                rule is not None and rule.likely,
            )
        )
    return findings


def _share_with_explanations(
    units: Sequence[Unit], bound: Bound, decisions: dict[int, Decision], grammar: Grammar
) -> None:
    """ "Left basal opacity may represent pneumonia": the pneumonia is in the left base too.

    A finding decided by a linking rule, and without a place of its own, takes the place of the last
    finding before it that the same rule did not decide.
    """
    for index, decision in decisions.items():
        if decision.rule is None or not decision.rule.links:
            continue
        sources = [
            other
            for other, its in decisions.items()
            if other < index
            and its.rule_unit != decision.rule_unit
            and its.assertion in ("present", "uncertain")
        ]
        if sources:
            bound[index] += _place_to_share(bound[sources[-1]], bound[index], grammar)


def _place_to_share(source: list[str], target: list[str], grammar: Grammar) -> list[str]:
    """The location of `source` that `target` lacks; nothing where the two disagree on the side."""
    sides = {name for name in source if grammar.axis_of[name] == "laterality"}
    own = {grammar.axis_of[name]: name for name in target if name in grammar.location}
    if "zone" in own or ("laterality" in own and own["laterality"] not in sides):
        return []
    missing = {"laterality", "zone"} - set(own)
    return [name for name in source if grammar.axis_of[name] in missing]
