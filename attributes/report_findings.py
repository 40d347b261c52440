"""`structure_report`: the findings of one report, with their attributes and offsets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from attributes.lexicon.load import load_lexicon
from attributes.structure import Structurer


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of a finding and the words that state it.

    `start` and `end` are character offsets in the text of the section: `text[start:end]`.
    """

    name: str
    words: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ReportFinding:
    """One mention of a finding in a report.

    `assertion` is present, absent, uncertain or resolved; `rule` is the rule that decided it, empty
    for a plain statement; `is_likely` marks an uncertain finding that is more likely than not
    ("probable"). `section` is the heading above, empty without one. All offsets count characters of
    the text that was given.
    """

    finding: str
    assertion: str
    attributes: tuple[Attribute, ...]
    words: str
    start: int
    end: int
    sentence: str
    section: str
    rule: str
    is_likely: bool

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """The names of the attributes, in the order of the lexicon."""
        return tuple(attribute.name for attribute in self.attributes)

    def to_dict(self) -> dict[str, object]:
        """The finding as plain data for JSON."""
        return asdict(self)


def structure_report(
    text: str, *, section: str = "", lexicon: str | Path = "en"
) -> tuple[ReportFinding, ...]:
    """The findings of a report in the order of their mentions.

    Args:
        text: the report. Headings in it are read; history, comparison and the like are skipped.
        section: the heading of `text`, where it is one section of a report.
        lexicon: a language (`en`, `es`) or a lexicon file; read once a process.

    Raises:
        ConfigError: the lexicon is unknown or wrong.

    Examples:
        >>> finding = structure_report("FINDINGS: Patchy opacity in the left base.")[0]
        >>> finding.finding, finding.assertion, finding.attribute_names, finding.section
        ('opacity', 'present', ('left', 'basal', 'patchy'), 'findings')
    """
    return findings_of_sections([(section, text)], _structurer(str(lexicon)))


def findings_of_sections(
    sections: Iterable[tuple[str, str]], structurer: Structurer
) -> tuple[ReportFinding, ...]:
    """The findings of (heading, text) pairs; offsets are those of each text."""
    found: list[ReportFinding] = []
    for heading, text in sections:
        for sentence in structurer.structure(text, heading):
            at = sentence.start
            for item in sentence.findings:
                attributes = tuple(
                    Attribute(
                        word.name,
                        sentence.sentence[word.start : word.end],
                        at + word.start,
                        at + word.end,
                    )
                    for word in item.words
                )
                found.append(
                    ReportFinding(
                        finding=item.finding,
                        assertion=item.assertion,
                        attributes=attributes,
                        words=sentence.sentence[item.start : item.end],
                        start=at + item.start,
                        end=at + item.end,
                        sentence=sentence.sentence,
                        section=sentence.section,
                        rule=item.rule,
                        is_likely=item.is_likely,
                    )
                )
    return tuple(found)


@lru_cache(maxsize=4)
def _structurer(lexicon: str) -> Structurer:
    return Structurer(load_lexicon(lexicon))
