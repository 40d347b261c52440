"""`trace_report`: a report in marked stretches of text, with the findings they led to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from attributes.grammar.assertion import decide_assertions
from attributes.grammar.clauses import split_clauses
from attributes.grammar.context import read_in_context
from attributes.grammar.units import MAX_SENTENCE_WORDS, Role, Unit
from attributes.lexicon.tokens import CONTROL_AS_BLANK
from attributes.structure import Finding, Structurer
from data_manifests.support.report_sections import ReportPart

# Kinds of marks, in the order of the legend.
MARKS = ("present", "absent", "uncertain", "resolved", "attribute", "rule", "other", "break")


@dataclass(frozen=True)
class Stretch:
    """A piece of a sentence; `mark` is one of MARKS or empty, `note` explains it."""

    text: str
    mark: str = ""
    note: str = ""


@dataclass(frozen=True)
class SentenceTrace:
    """A sentence in stretches that add up to it, with its findings. `section` may be empty."""

    section: str
    stretches: tuple[Stretch, ...]
    findings: tuple[Finding, ...]


def trace_report(
    sections: Iterable[tuple[str, str]], structurer: Structurer
) -> list[SentenceTrace]:
    """Trace every sentence of the read sections of a report, those without findings too."""
    traces: list[SentenceTrace] = []
    for name, text in sections:
        for part in structurer.read_parts(text, name):
            for start, end in structurer.sentences.spans(part.text):
                traces.append(trace_sentence(part.text[start:end], structurer, section=part.name))
    return traces


def skipped_parts(sections: Iterable[tuple[str, str]], structurer: Structurer) -> list[ReportPart]:
    """The parts of a report that are not read, such as its history; `name` is their heading."""
    return [
        part
        for name, text in sections
        for part in structurer.sections.split(text, name)
        if not part.is_read
    ]


def trace_sentence(sentence: str, structurer: Structurer, *, section: str = "") -> SentenceTrace:
    """Trace one sentence. Control characters are shown as blanks."""
    grammar = structurer.grammar
    units = read_in_context(grammar.units(sentence), grammar)
    marks: dict[int, tuple[str, str]] = {}
    for start in range(0, len(units), MAX_SENTENCE_WORDS):
        piece = units[start : start + MAX_SENTENCE_WORDS]
        marks |= {start + index: mark for index, mark in _marks(piece).items()}
    shown = sentence.translate(CONTROL_AS_BLANK)
    stretches: list[Stretch] = []
    at = 0
    for index, unit in enumerate(units):
        if index in marks:
            if unit.start > at:
                stretches.append(Stretch(shown[at : unit.start]))
            mark, note = marks[index]
            stretches.append(Stretch(shown[unit.start : unit.end], mark, note))
            at = unit.end
    stretches.append(Stretch(shown[at:]))
    return SentenceTrace(
        section, tuple(s for s in stretches if s.text), structurer.structure_sentence(sentence)
    )


def _marks(units: list[Unit]) -> dict[int, tuple[str, str]]:
    """Unit index -> (mark, note)."""
    marks: dict[int, tuple[str, str]] = {}
    inside: set[int] = set()
    for clause in split_clauses(units):
        inside.update(range(*clause))
        for index, decision in decide_assertions(units, clause).items():
            by = f" by rule {decision.rule_id}" if decision.rule_id else ""
            marks[index] = (
                decision.assertion,
                f"{units[index].term.finding}: {decision.assertion}{by}",
            )
    for index, unit in enumerate(units):
        rule = unit.term.rule
        if index not in inside:
            marks[index] = "break", "a clause ends here"
        elif unit.role == Role.MODIFIER:
            marks[index] = "attribute", ", ".join(unit.term.means)
        elif rule is not None:
            marks[index] = "rule", f"rule {rule.id} ({rule.kind}, {rule.direction})"
        elif unit.role == Role.OTHER:
            marks[index] = "other", "another noun: the words around it belong to it"
    return marks
