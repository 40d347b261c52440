"""`score_cases`: sentences of several languages and kinds, and whole reports, with right answers.

A folder of cases holds `sentences.csv` (`id, set, language, category, text, gold`) and
`whole_reports.json` (a list of `id, language, text, gold`); either may be missing. The answers are
written as in `gold_sentences`. The category `es_stemmed` is read with the lexicon of that name.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from attributes.lexicon.entries import Lexicon
from attributes.lexicon.load import lexicon_languages, load_lexicon
from attributes.scoring.gold_score import (
    SentenceScore,
    align,
    count_assertions,
    count_binding,
    mentions_of,
)
from attributes.scoring.gold_sentences import GoldSentence, read_mentions
from attributes.scoring.measures import Measure, measure
from attributes.structure import Structurer
from data_manifests.support.errors import DataError, Problem

COLUMNS = ("id", "language", "category", "text", "gold")


@dataclass(frozen=True)
class Case:
    """A sentence or whole report with its right answer and the lexicon that reads it."""

    gold: GoldSentence
    lexicon: str
    is_report: bool


@dataclass(frozen=True)
class CaseScore:
    """`assertions` and `binding` over all sentences, and by category; whole reports by their id.

    A whole report is right where all findings, assertions and attributes are.
    """

    sentences: tuple[SentenceScore, ...]
    assertions: Measure
    binding: Measure
    by_category: dict[str, tuple[Measure, Measure]]
    reports: tuple[SentenceScore, ...]

    @property
    def reports_right(self) -> int:
        """The number of whole reports without an error."""
        return sum(not report.errors for report in self.reports)


def read_cases(folder: Path) -> list[Case]:
    """The cases of a folder. Raises DataError with every bad row."""
    folder = Path(folder)
    rows: list[tuple[int, dict[str, str], bool]] = []
    sentences, reports = folder / "sentences.csv", folder / "whole_reports.json"
    if sentences.is_file():
        with sentences.open(encoding="utf-8", newline="") as handle:
            table = csv.DictReader(handle)
            missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                got = ", ".join(table.fieldnames or ()) or "an empty file"
                problem = Problem(str(sentences), f"columns {', '.join(missing)}", got, row=1)
                raise DataError.from_problems([problem])
            rows += [(table.line_num, row, False) for row in table]
    if reports.is_file():
        try:
            items = json.loads(reports.read_text("utf-8"))
            rows += [(number, {"category": "", **item}, True) for number, item in enumerate(items)]
        except (ValueError, TypeError, RecursionError) as error:
            problem = Problem(str(reports), "a JSON list of reports", str(error)[:80])
            raise DataError.from_problems([problem]) from error
    if not rows:
        problem = Problem(str(folder), "sentences.csv or whole_reports.json", "neither")
        raise DataError.from_problems([problem])
    lexicons: dict[str, Lexicon] = {}
    cases: list[Case] = []
    problems: list[Problem] = []
    for number, row, is_report in rows:
        file = str(reports if is_report else sentences)
        try:
            is_lexicon = row["category"] in lexicon_languages()
            language = row["category"] if is_lexicon else row["language"]
            if language not in lexicons:
                lexicons[language] = load_lexicon(language)
            mentions = read_mentions(row["gold"], lexicons[language])
            sentence = GoldSentence(row["id"], row["category"], row["text"], mentions)
            cases.append(Case(sentence, language, is_report))
        except (KeyError, ValueError) as error:
            problems.append(Problem(file, str(error), "another value", row=number, field="gold"))
    if problems:
        raise DataError.from_problems(problems)
    return cases


def score_cases(cases: Sequence[Case], *, seed: int = 0) -> CaseScore:
    """Structure every case with its lexicon and compare."""
    structurers = {
        name: Structurer(load_lexicon(name)) for name in sorted({case.lexicon for case in cases})
    }
    scores: dict[bool, list[SentenceScore]] = {False: [], True: []}
    for case in cases:
        found = mentions_of(case.gold.text, structurers[case.lexicon])
        scores[case.is_report].append(
            SentenceScore(case.gold, found, align(case.gold.mentions, found))
        )
    sentences = scores[False]
    categories = sorted({score.gold.difficulty for score in sentences})

    def over(chosen: Iterable[SentenceScore]) -> tuple[Measure, Measure]:
        pairs = [score.pairs for score in chosen]
        return (
            measure([count_assertions(pair) for pair in pairs], seed=seed),
            measure([count_binding(pair) for pair in pairs], seed=seed),
        )

    assertions, binding = over(sentences)
    return CaseScore(
        sentences=tuple(sentences),
        assertions=assertions,
        binding=binding,
        by_category={
            name: over(score for score in sentences if score.gold.difficulty == name)
            for name in categories
        },
        reports=tuple(scores[True]),
    )
