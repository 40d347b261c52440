"""`score_structuring`: structured CT sentences against gold sentences.

A gold table has the columns `number, half, organs, text, anomalies`: the organ of each sentence of
`text`, joined by `;`, and the anomalies, joined by ` ;; `. An anomaly is its phrase, with `no `,
`maybe ` or `was ` before it where it is denied, uncertain or resolved, then ` | class=words` for
each phrase that describes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attributes.anomalies.anomaly import PHRASE_CLASSES, Anomaly, StructuredReport
from attributes.anomalies.structure_ct import AnomalyStructurer
from data_manifests.support.csv_file import read_text_csv
from data_manifests.support.errors import DataError, Problem

PREFIXES = {"no ": "absent", "maybe ": "uncertain", "was ": "resolved"}
COLUMNS = ("number", "half", "organs", "text", "anomalies")


@dataclass(frozen=True)
class GoldAnomaly:
    """The assertion and the (class, words) pairs of an anomaly, its own phrase among them."""

    assertion: str
    phrases: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class GoldText:
    """A text with the organs of its sentences and its anomalies."""

    number: str
    half: str
    text: str
    organs: tuple[str, ...]
    anomalies: tuple[GoldAnomaly, ...]


@dataclass(frozen=True)
class StructuringScore:
    """Shares in [0, 1]: organs of sentences; F1 of phrases with their class; F1 of anomalies whose
    phrases are all right; right assertions among these."""

    texts: int
    organ_accuracy: float
    phrase_f1: float
    anomaly_f1: float
    assertion_accuracy: float
    wrong: tuple[str, ...]  # the texts with an error


def read_gold(path: Path) -> list[GoldText]:
    """Read a gold table.

    Raises:
        DataError: a missing column, or a class that is none of the nine.
    """
    table = read_text_csv(path)
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise DataError.from_problems([Problem(path.name, "the gold columns", f"no {missing}")])
    return [
        GoldText(
            row["number"],
            row["half"],
            row["text"],
            tuple(row["organs"].split(";")),
            tuple(_anomaly(path, line, part) for part in row["anomalies"].split(" ;; ") if part),
        )
        for line, row in enumerate(table.to_dict("records"), start=2)
    ]


def _anomaly(path: Path, line: int, text: str) -> GoldAnomaly:
    head, *described = [part.strip() for part in text.split(" | ")]
    assertion = "present"
    for prefix, meaning in PREFIXES.items():
        if head.startswith(prefix):
            head, assertion = head.removeprefix(prefix), meaning
    phrases = {("anomaly", head)}
    for part in described:
        kind, _, words = part.partition("=")
        if kind not in PHRASE_CLASSES:
            raise DataError.from_problems(
                [Problem(path.name, f"one of {', '.join(PHRASE_CLASSES)}", kind, line, "anomalies")]
            )
        phrases.add((kind, words))
    return GoldAnomaly(assertion, frozenset(phrases))


def score_structuring(
    gold: Sequence[GoldText], structurer: AnomalyStructurer | None = None
) -> StructuringScore:
    """Structure each text and compare: phrases by class and words, anomalies as sets of them."""
    structurer = structurer or AnomalyStructurer()
    organs = right_organs = right_assertions = matched = 0
    phrases, anomalies = Counter[str](), Counter[str]()
    wrong = []
    for item in gold:
        report = structurer.structure(item.text)
        got_organs = [sentence.organ for sentence in report.sentences]
        organs += len(item.organs)
        right_organs += sum(a == b for a, b in zip(item.organs, got_organs, strict=False))
        got = [_as_gold(report, anomaly) for anomaly in report.anomalies]
        _count(
            phrases,
            [p for a in item.anomalies for p in a.phrases],
            [p for a in got for p in a.phrases],
        )
        _count(anomalies, [a.phrases for a in item.anomalies], [a.phrases for a in got])
        by_phrases = {a.phrases: a.assertion for a in got}
        for anomaly in item.anomalies:
            if anomaly.phrases in by_phrases:
                matched += 1
                right_assertions += by_phrases[anomaly.phrases] == anomaly.assertion
        if list(item.organs) != got_organs or Counter(item.anomalies) != Counter(got):
            wrong.append(item.text)
    return StructuringScore(
        len(gold), right_organs / max(organs, 1), _f1(phrases), _f1(anomalies),
        right_assertions / max(matched, 1), tuple(wrong),
    )  # fmt: skip


def _as_gold(report: StructuredReport, anomaly: Anomaly) -> GoldAnomaly:
    return GoldAnomaly(
        anomaly.assertion,
        frozenset((item.phrase_class, report.words(item).lower()) for item in anomaly.phrases),
    )


def _count(counts: Counter[str], gold: Sequence[object], got: Sequence[object]) -> None:
    left = Counter(gold)
    right = sum((left & Counter(got)).values())
    counts.update({"right": right, "gold": len(gold), "got": len(got)})


def _f1(counts: Counter[str]) -> float:
    total = counts["gold"] + counts["got"]
    return 2 * counts["right"] / total if total else 1.0
