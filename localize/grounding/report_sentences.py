"""`ReportSentence`: every sentence of a report, those of skipped sections included."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from attributes.grammar.units import MAX_SENTENCE_WORDS, Role
from attributes.lexicon.tokens import fold
from attributes.structure import Finding, Structurer

# Other pictures, in English and Spanish: what a sentence says of them need not be on this film.
OTHER_PICTURES = re.compile(
    r"\b(?:ct|cta|ctpa|hrct|tac|tc|mri|mr|rmn|pet|tomograph\w*|tomograf\w*|ultrasound\w*"
    r"|ultraso\w*|sonogra\w*|echo|ecograf\w*|echocardiogra\w*|bronchoscop\w*"
    r"|lateral (?:view|film|projection|radiograph|image)s?|(?:en|proyeccion) lateral)\b"
)
MAX_SEARCHED = 4000  # characters, as long as the splitter lets a sentence be
NOUNS = frozenset({Role.FINDING, Role.OTHER, Role.MODIFIER, Role.PARTITIVE})


@dataclass(frozen=True)
class ReportSentence:
    """A sentence and its findings.

    Args:
        section: the heading above.
        text: the sentence.
        start: its first character in the section's text.
        is_read: it stands in a section that describes the film.
        is_other_picture: it names another picture, such as a CT.
        has_nouns: it has words of findings, anatomy or places.
        findings: what it states, with offsets that count from its start.
    """

    section: str
    text: str
    start: int
    is_read: bool
    is_other_picture: bool
    has_nouns: bool
    findings: tuple[Finding, ...]


def report_sentences(
    sections: Iterable[tuple[str, str]], structurer: Structurer
) -> list[ReportSentence]:
    """All sentences of a report given as (heading, text) pairs, in order.

    Sentences of history and other skipped sections are structured, too; `is_read` is false.
    """
    found: list[ReportSentence] = []
    for name, text in sections:
        for part in structurer.sections.split(text, name):
            for start, end in structurer.sentences.spans(part.text):
                sentence = part.text[start:end]
                findings = structurer.structure_sentence(sentence)
                found.append(
                    ReportSentence(
                        part.name,
                        sentence,
                        part.start + start,
                        part.is_read,
                        bool(OTHER_PICTURES.search(fold(sentence[:MAX_SEARCHED]))),
                        bool(findings) or _has_nouns(sentence, structurer),
                        findings,
                    )
                )
    return found


def _has_nouns(sentence: str, structurer: Structurer) -> bool:
    units = structurer.grammar.units(sentence[:MAX_SEARCHED])[:MAX_SENTENCE_WORDS]
    return any(unit.role in NOUNS for unit in units)
