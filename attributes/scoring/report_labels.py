"""Scoring against labels of whole reports, such as NegBio's hand labels of Open-i.

The label file is a CSV: an id column (the first), then one 0/1 column a label. A report counts as
positive where one of the label's findings is present, or stated with a hedge that leans to yes
("probable", "most likely represents"): that is how those labels were given.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attributes.reports import Report
from attributes.scoring.measures import Measure, measure
from attributes.structure import SentenceFindings, Structurer
from data_manifests.support.errors import ConfigError, DataError, Problem

FINDINGS_OF_LABEL: Mapping[str, tuple[str, ...]] = {
    "Pneumonia": ("pneumonia",),
    "Consolidation": ("consolidation",),
    "Infiltration": ("infiltrate",),
    "Effusion": ("effusion",),
    "Atelectasis": ("atelectasis",),
    "Pneumothorax": ("pneumothorax",),
    "Nodule": ("nodule",),
    "Edema": ("edema",),
    "Cardiomegaly": ("cardiomegaly",),
}
# The two baselines: any mention, and any mention in a sentence without a negation before it.
KEYWORD_OF_LABEL: Mapping[str, str] = {
    "Pneumonia": r"pneumoni",
    "Consolidation": r"consolidat",
    "Infiltration": r"infiltrat",
    "Effusion": r"effusion",
    "Atelectasis": r"atelecta",
    "Pneumothorax": r"pneumothora",
    "Nodule": r"nodul",
    "Edema": r"edema",
    "Cardiomegaly": r"cardiomegaly|enlarged (?:heart|cardiac)",
}
NEGATION = re.compile(r"\b(?:no|not|without|negative|free|clear of|resolved|rule out)\b", re.I)
SENTENCE = re.compile(r"[^.]+")
HALVES = ("all", "tune", "held")


@dataclass(frozen=True)
class Disagreement:
    """A report where label and structurer differ, with the sentences that speak of the label."""

    study_id: str
    label: str
    gold: bool
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class LabelScore:
    """One label: the structurer and, beside it, the two baselines."""

    label: str
    structurer: Measure
    regex: Measure
    keyword: Measure
    disagreements: tuple[Disagreement, ...]


def is_held(study_id: str) -> bool:
    """Whether an id is in the held half: the parity of the first byte of its SHA-256."""
    return hashlib.sha256(study_id.encode()).digest()[0] % 2 == 1


def read_report_labels(path: Path) -> dict[str, dict[str, bool]]:
    """study id -> label -> positive, for the labels in FINDINGS_OF_LABEL. Raises DataError."""
    if not Path(path).is_file():
        raise DataError.from_problems(
            [Problem(str(path), "a CSV of report labels", "no such file")]
        )
    problems: list[Problem] = []
    labels: dict[str, dict[str, bool]] = {}
    with Path(path).open(encoding="utf-8", newline="") as handle:
        rows = csv.DictReader(handle)
        names = [name for name in rows.fieldnames or () if name in FINDINGS_OF_LABEL]
        if not names or rows.fieldnames is None:
            expected = f"a label column, e.g. {', '.join(FINDINGS_OF_LABEL)}"
            raise DataError.from_problems([Problem(str(path), expected, "none", row=1)])
        for row in rows:
            for name in names:
                if row[name] not in ("0", "1"):
                    at = Problem(
                        str(path), "0 or 1", f"`{row[name]}`", row=rows.line_num, field=name
                    )
                    problems.append(at)
            labels[row[rows.fieldnames[0]]] = {name: row[name] == "1" for name in names}
    if problems:
        raise DataError.from_problems(problems)
    return labels


def score_report_labels(
    reports: Iterable[Report],
    labels: Mapping[str, Mapping[str, bool]],
    structurer: Structurer,
    *,
    half: str = "all",
    seed: int = 0,
) -> list[LabelScore]:
    """Compare the structurer and the baselines with the labels, on one half of the ids or on all.

    Raises:
        ConfigError: an unknown half.
        DataError: no report has a label.
    """
    if half not in HALVES:
        raise ConfigError(f"half: expected one of {', '.join(HALVES)}, got `{half}`")
    names = list(next(iter(labels.values()), {}))
    counts: dict[str, list[list[tuple[int, int, int]]]] = {name: [[], [], []] for name in names}
    disagreements: dict[str, list[Disagreement]] = {name: [] for name in names}
    matched = 0
    for report in reports:
        truth = labels.get(report.study_id)
        if truth is None or (half != "all" and is_held(report.study_id) != (half == "held")):
            continue
        matched += 1
        found = structurer.structure_sections(report.sections)
        text = _read_text(report, structurer)
        for name in names:
            guesses = (
                _is_positive(found, FINDINGS_OF_LABEL[name]),
                _is_positive_by_regex(text, KEYWORD_OF_LABEL[name]),
                re.search(KEYWORD_OF_LABEL[name], text, re.I) is not None,
            )
            for column, guess in zip(counts[name], guesses, strict=True):
                column.append((int(guess and truth[name]), int(truth[name]), int(guess)))
            if guesses[0] != truth[name]:
                sentences = _sentences_about(found, FINDINGS_OF_LABEL[name])
                disagreements[name].append(
                    Disagreement(report.study_id, name, truth[name], sentences)
                )
    if not matched:
        raise DataError("labels and reports: expected common study ids, got none")
    return [
        LabelScore(
            name,
            structurer=measure(counts[name][0], seed=seed),
            regex=measure(counts[name][1], seed=seed),
            keyword=measure(counts[name][2], seed=seed),
            disagreements=tuple(disagreements[name]),
        )
        for name in names
    ]


def _is_positive(found: Sequence[SentenceFindings], findings: Sequence[str]) -> bool:
    return any(
        item.finding in findings and (item.assertion == "present" or item.is_likely)
        for sentence in found
        for item in sentence.findings
    )


def _sentences_about(found: Sequence[SentenceFindings], findings: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        sentence.sentence
        for sentence in found
        if any(item.finding in findings for item in sentence.findings)
    )


def _read_text(report: Report, structurer: Structurer) -> str:
    """The text of the sections that count, for the baselines."""
    parts = [
        part.text for name, text in report.sections for part in structurer.read_parts(text, name)
    ]
    return " . ".join(parts)


def _is_positive_by_regex(text: str, keyword: str) -> bool:
    pattern = re.compile(keyword, re.I)
    for sentence in SENTENCE.findall(text):
        match = pattern.search(sentence)
        if match and not NEGATION.search(sentence, 0, match.start()):
            return True
    return False
