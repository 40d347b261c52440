"""Scores as text for the terminal and as plain data for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attributes.lexicon.entries import ASSERTIONS
from attributes.scoring.case_score import CaseScore
from attributes.scoring.gold_score import GoldScore, SentenceScore
from attributes.scoring.measures import Measure
from attributes.scoring.report_labels import LabelScore

Row = dict[str, float | int | None]


def gold_as_data(score: GoldScore) -> dict[str, object]:
    """Everything of a gold score, for JSON."""
    return {
        "sentences": len(score.sentences),
        "detection": score.detection.as_row(),
        "assertions": score.assertions.as_row(),
        "binding": score.binding.as_row(),
        "by_difficulty": {
            name: {"assertions": first.as_row(), "binding": second.as_row()}
            for name, (first, second) in score.by_difficulty.items()
        },
        "by_finding": _rows(score.by_finding),
        "by_assertion": _rows(score.by_assertion),
        "by_attribute": _rows(score.by_attribute),
        "confusion": [
            {"gold": gold, "found": found, "count": count}
            for (gold, found), count in sorted(score.confusion.items())
        ],
        "wrong": [_error_data(item) for item in score.worst(len(score.sentences))],
    }


def gold_as_text(score: GoldScore, *, worst: int) -> str:
    """The tables of a gold score, and the worst errors with their sentences."""
    lines = [f"{len(score.sentences)} sentences", "", _head("overall")]
    overall = {
        "findings": score.detection,
        "assertions": score.assertions,
        "attributes": score.binding,
    }
    for name, (assertions, binding) in score.by_difficulty.items():
        overall[f"assertions, {name}"], overall[f"attributes, {name}"] = assertions, binding
    lines += _body(overall)
    for title, table in (
        ("finding", score.by_finding),
        ("assertion", score.by_assertion),
        ("attribute", score.by_attribute),
    ):
        lines += ["", _head(title), *_body(table)]
    lines += ["", *_confusion(score)]
    if worst:
        lines += [
            "",
            "worst errors",
            *(line for item in score.worst(worst) for line in _error(item)),
        ]
    return "\n".join(lines)


def cases_as_data(score: CaseScore) -> dict[str, object]:
    """Everything of a score of cases, for JSON."""
    return {
        "sentences": len(score.sentences),
        "assertions": score.assertions.as_row(),
        "binding": score.binding.as_row(),
        "by_category": {
            name: {"assertions": first.as_row(), "binding": second.as_row()}
            for name, (first, second) in score.by_category.items()
        },
        "reports": len(score.reports),
        "reports_right": score.reports_right,
        "wrong": [_error_data(item) for item in (*score.sentences, *score.reports) if item.errors],
    }


def cases_as_text(score: CaseScore, *, worst: int) -> str:
    """The table of a score of cases, and some errors with their text."""
    overall = {"assertions": score.assertions, "attributes": score.binding}
    for name, (assertions, binding) in score.by_category.items():
        overall[f"assertions, {name}"], overall[f"attributes, {name}"] = assertions, binding
    lines = [f"{len(score.sentences)} sentences", "", _head("overall"), *_body(overall)]
    if score.reports:
        lines += ["", f"whole reports right: {score.reports_right} of {len(score.reports)}"]
    wrong = [item for item in (*score.sentences, *score.reports) if item.errors][:worst]
    if wrong:
        lines += ["", "errors", *(line for item in wrong for line in _error(item))]
    return "\n".join(lines)


def labels_as_data(scores: Sequence[LabelScore]) -> dict[str, object]:
    """Label scores and all disagreements, for JSON."""
    return {
        score.label: {
            "structurer": score.structurer.as_row(),
            "regex": score.regex.as_row(),
            "keyword": score.keyword.as_row(),
            "disagreements": [
                {"study_id": item.study_id, "gold": item.gold, "sentences": list(item.sentences)}
                for item in score.disagreements
            ],
        }
        for score in scores
    }


def labels_as_text(scores: Sequence[LabelScore], *, worst: int) -> str:
    """One line a label and method, then some disagreements a label."""
    lines = [_head("label")]
    for score in scores:
        methods = {"": score.structurer, " regex": score.regex, " keyword": score.keyword}
        lines += _body({f"{score.label}{name}": value for name, value in methods.items()})
    for score in scores:
        for item in score.disagreements[:worst]:
            label = "positive" if item.gold else "negative"
            lines.append(f"\n{score.label} {item.study_id}: label {label}")
            lines += [f"  {sentence}" for sentence in item.sentences] or ["  (not mentioned)"]
    return "\n".join(lines)


def _rows(table: Mapping[str, Measure]) -> dict[str, Row]:
    return {name: value.as_row() for name, value in table.items()}


def _head(title: str) -> str:
    return f"{title:24}  precis  recall      F1   95 % interval   gold  found"


def _body(table: Mapping[str, Measure]) -> list[str]:
    return [
        f"{name:24} {_number(m.precision)} {_number(m.recall)} {_number(m.f1)}"
        f"  {_number(m.f1_low)} -{_number(m.f1_high)} {m.gold:6} {m.found:6}"
        for name, m in table.items()
        if m.gold or m.found
    ]


def _number(value: float | None) -> str:
    return "      –" if value is None else f"{value:7.3f}"


def _confusion(score: GoldScore) -> list[str]:
    columns = [*ASSERTIONS, "missed"]
    lines = ["gold \\ found  " + "".join(f"{name:>11}" for name in columns)]
    for gold in (*ASSERTIONS, "made up"):
        counts = "".join(f"{score.confusion.get((gold, found), 0):11}" for found in columns)
        lines.append(f"{gold:13} {counts}")
    return lines


def _error_data(item: SentenceScore) -> dict[str, object]:
    return {
        "sentence_id": item.gold.sentence_id,
        "text": item.gold.text,
        "gold": [str(mention) for mention in item.gold.mentions],
        "found": [str(mention) for mention in item.found],
    }


def _error(item: SentenceScore) -> list[str]:
    gold = "; ".join(map(str, item.gold.mentions)) or "nothing"
    found = "; ".join(map(str, item.found)) or "nothing"
    return [f"{item.gold.sentence_id}  {item.gold.text}", f"  gold   {gold}", f"  found  {found}"]
