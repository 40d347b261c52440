"""Counts of a corpus: how often every keyword is affirmed, hedged, resolved and negated."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from attributes.lexicon.entries import ASSERTIONS, Lexicon
from attributes.reports import Report
from attributes.structure import Structurer
from attributes.targets.keyword_states import keyword_states
from data_manifests.support.atomic import atomic_path
from data_manifests.support.errors import DataError, Problem


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A row of `findings.csv`, as far as counting needs it."""

    study_id: str
    finding: str
    assertion: str
    attributes: tuple[str, ...]


@dataclass(frozen=True)
class CorpusStats:
    """Two tables of counts.

    `keywords`: one row a keyword; `findings_*` count pneumonia-like findings that carry it,
    `studies_*` studies by their strongest statement. `findings`: one row a finding type, counts by
    assertion.
    """

    studies: int
    keywords: pd.DataFrame
    findings: pd.DataFrame


def count_corpus(rows: Iterable[FindingRow], lexicon: Lexicon) -> CorpusStats:
    """Count findings, given study by study."""
    by_type: Counter[tuple[str, str]] = Counter()
    by_keyword: Counter[tuple[str, str]] = Counter()
    by_study: Counter[tuple[str, str]] = Counter()
    names, likes = lexicon.keyword_names, lexicon.pneumonia_like
    studies, current, own = 0, None, list[FindingRow]()

    def close() -> None:
        for name, state in zip(names, keyword_states(own, lexicon), strict=True):
            by_study[name, state] += 1

    for row in rows:
        if row.study_id != current:
            if current is not None:
                close()
            studies, current, own = studies + 1, row.study_id, []
        own.append(row)
        if row.finding:
            by_type[row.finding, row.assertion] += 1
        if row.finding in likes:
            for name in row.attributes:
                by_keyword[name, row.assertion] += 1
    if current is not None:
        close()
    keywords = [
        {"keyword": name}
        | {f"findings_{state}": by_keyword[name, state] for state in ASSERTIONS}
        | {f"studies_{state}": by_study[name, state] for state in ASSERTIONS}
        for name in names
    ]
    findings = [
        {"finding": kind.name} | {state: by_type[kind.name, state] for state in ASSERTIONS}
        for kind in lexicon.findings
    ]
    return CorpusStats(studies, pd.DataFrame(keywords), pd.DataFrame(findings))


def rows_of_reports(reports: Iterable[Report], structurer: Structurer) -> Iterator[FindingRow]:
    """Structure reports on the way; a study without findings gives one row without a finding."""
    for report in reports:
        sentences = structurer.structure_sections(report.sections)
        found = [item for sentence in sentences for item in sentence.findings]
        if not found:
            yield FindingRow(report.study_id, "", "", ())
        for item in found:
            yield FindingRow(report.study_id, item.finding, item.assertion, item.attributes)


def rows_of_mined(folder: Path) -> Iterator[FindingRow]:
    """The rows of a mined folder: studies without findings come from `attributes.csv`.

    Raises DataError for a table without its columns.
    """
    with (folder / "attributes.csv").open(encoding="utf-8", newline="") as handle:
        studies = [row[0] for row in csv.reader(handle) if row][1:]
    with (folder / "findings.csv").open(encoding="utf-8", newline="") as handle:
        table = csv.DictReader(handle)
        needed = ("study_id", "finding", "assertion", "attributes")
        missing = [name for name in needed if name not in (table.fieldnames or ())]
        if missing:
            path = str(folder / "findings.csv")
            raise DataError.from_problems(
                [Problem(path, f"columns {', '.join(missing)}", "none", row=1)]
            )
        seen: set[str] = set()
        for row in table:
            seen.add(row["study_id"])
            attributes = tuple(filter(None, row["attributes"].split(";")))
            yield FindingRow(row["study_id"], row["finding"], row["assertion"], attributes)
    for study_id in studies:
        if study_id not in seen:
            yield FindingRow(study_id, "", "", ())


def stats_text(stats: CorpusStats) -> str:
    """The tables for a terminal."""
    keywords = stats.keywords.rename(
        columns=lambda name: name.replace("findings_", "").replace("studies_", "st. ")
    )
    return (
        f"{stats.studies} studies; per keyword: pneumonia-like findings, then studies (st.)\n\n"
        f"{keywords.to_string(index=False)}\n\n{stats.findings.to_string(index=False)}"
    )


def plot_stats(stats: CorpusStats, path: Path) -> None:
    """Write a bar chart of the findings per keyword (PNG, SVG or PDF by suffix).

    Negated ones have their own panel: "focal" is denied fifty times as often as it is stated.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    stated, denied = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    table = stats.keywords.iloc[::-1]
    left = pd.Series(0, index=table.index)
    for state, colour in (
        ("present", "#c0392b"),
        ("uncertain", "#e0a526"),
        ("resolved", "#3a9db5"),
    ):
        counts = table[f"findings_{state}"]
        stated.barh(table["keyword"], counts, left=left, color=colour, label=state)
        left = left + counts
    stated.legend(frameon=False, loc="lower right")
    stated.set_xlabel("pneumonia-like findings that carry the keyword")
    denied.barh(table["keyword"], table["findings_absent"], color="#5a9a63")
    denied.set_xlabel("of them absent")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150)
