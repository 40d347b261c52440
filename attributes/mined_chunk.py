"""`mine_chunk`: some reports as rows of the mined tables."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from attributes.lexicon.tokens import CONTROL_AS_BLANK
from attributes.reports import Report
from attributes.structure import Finding, SentenceFindings, Structurer
from attributes.targets.chexpert import UNCERTAIN_VALUES, chexpert_row
from attributes.targets.keyword_states import UNREAD, keyword_states
from data_manifests.support.errors import ConfigError

FINDING_COLUMNS = (
    "study_id",
    "section",
    "finding",
    "assertion",
    "attributes",
    "sentence",
    "start",
    "end",
    "rule",
    "is_likely",
)

PLAIN_FIELD = re.compile(r"[\w.-]+")  # in CSV as it is


@dataclass(frozen=True)
class TableOptions:
    """What the tables hold.

    `extended`: findings.csv has the extended findings too. `impression_wins`: what the impression
    states of a finding overrules what other sections state of it. `chexpert`: also write
    chexpert.csv, with this value for uncertain labels (one of `UNCERTAIN_VALUES`); empty: do not.
    """

    extended: bool = False
    impression_wins: bool = False
    chexpert: str = ""

    def __post_init__(self) -> None:
        if self.chexpert and self.chexpert not in UNCERTAIN_VALUES:
            expected = ", ".join(UNCERTAIN_VALUES)
            raise ConfigError(f"--chexpert: expected one of {expected}, got `{self.chexpert}`")


@dataclass(frozen=True, slots=True)
class MinedChunk:
    """The tables of a chunk of reports as CSV text, its counts, and (study, reason) if unread."""

    findings: str
    attributes: str
    chexpert: str
    reports: int
    counts: Counter[tuple[str, str]]
    unread: list[tuple[str, str]]
    overruled: int


def mine_chunk(
    chunk: Sequence[Report], structurer: Structurer, options: TableOptions | None = None
) -> MinedChunk:
    """Structure some reports with a structurer of all findings; see `MinedChunk`."""
    findings_text, attributes_text, chexpert_text = io.StringIO(), io.StringIO(), io.StringIO()
    write_findings = csv.writer(findings_text, lineterminator="\n").writerows
    write_labels = csv.writer(chexpert_text, lineterminator="\n").writerow
    counts: Counter[tuple[str, str]] = Counter()
    options = options or TableOptions()
    lexicon = structurer.lexicon
    extended = frozenset[str]() if options.extended else lexicon.extended
    unread: list[tuple[str, str]] = []
    overruled = 0
    for report in chunk:
        found = structurer.structure_sections(report.sections)
        if options.impression_wins:
            found, dropped = without_overruled(found)
            overruled += dropped
        flat: list[Finding] = []
        rows = []
        for sentence in found:
            text = sentence.sentence
            if not text.isprintable():
                text = text.translate(CONTROL_AS_BLANK)
            at = sentence.start
            flat += sentence.findings
            rows += [
                (
                    report.study_id,
                    sentence.section,
                    item.finding,
                    item.assertion,
                    ";".join(item.attributes),
                    text,
                    at + item.start,
                    at + item.end,
                    item.rule,
                    int(item.is_likely),
                )
                for item in sentence.findings
                if item.finding not in extended
            ]
        counts.update([row[2:4] for row in rows])
        write_findings(rows)
        reason = "" if flat else structurer.why_unread(report.sections)
        if reason:
            unread.append((report.study_id, reason))
        states = UNREAD * len(lexicon.keywords) if reason else keyword_states(flat, lexicon)
        # Only the identifier can need quotes; a CSV writer looks at every state.
        attributes_text.write(f"{_csv_field(report.study_id)},{','.join(states)}\n")
        if options.chexpert:
            labels = chexpert_row(flat, options.chexpert, is_read=not reason)
            write_labels((report.study_id, *labels))
    return MinedChunk(
        findings_text.getvalue(),
        attributes_text.getvalue(),
        chexpert_text.getvalue(),
        len(chunk),
        counts,
        unread,
        overruled,
    )


def _csv_field(text: str) -> str:
    if PLAIN_FIELD.fullmatch(text):
        return text
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow((text, ""))
    return row.getvalue()[:-1]


def without_overruled(found: Sequence[SentenceFindings]) -> tuple[list[SentenceFindings], int]:
    """The findings without those of other sections that the impression states again, and their
    number."""
    concluded = {
        item.finding for sentence in found if sentence.is_impression for item in sentence.findings
    }
    kept: list[SentenceFindings] = []
    dropped = 0
    for sentence in found:
        items = sentence.findings
        if not sentence.is_impression:
            items = tuple(item for item in items if item.finding not in concluded)
            dropped += len(sentence.findings) - len(items)
        if items:
            kept.append(
                sentence if items == sentence.findings else replace(sentence, findings=items)
            )
    return kept, dropped
