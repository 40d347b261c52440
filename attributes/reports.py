"""`ReportReader`: streams reports, one study after another, whatever the size of the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from attributes.report_rows import (
    JSON_LINES,
    TABLES,
    ReportColumns,
    ReportRows,
    decode_report,
    find_reports,
)
from data_manifests.support.errors import DataError, Problem

# Problems beyond this many are left out one by one, but no longer listed.
MAX_PROBLEMS = 10_000


@dataclass(frozen=True, slots=True)
class Report:
    """The report of one study: (section name or "", text) pairs, and the row where it begins."""

    study_id: str
    sections: tuple[tuple[str, str], ...]
    row: int


class ReportReader:
    """Iterates over the reports of a manifest folder, a table, or a folder of text files.

    Rows of one study must follow one another. Bad rows are left out and listed in `problems`; the
    caller decides whether that is fatal (`raise_problems`). Iterating again starts anew.
    """

    def __init__(
        self, path: Path, *, encoding: str = "utf-8", columns: ReportColumns | None = None
    ) -> None:
        self.path = find_reports(Path(path))
        self.problems: list[Problem] = []
        self._rows = ReportRows(
            self.path,
            encoding=encoding,
            columns=columns or ReportColumns(),
            complain=self._complain,
        )

    def __iter__(self) -> Iterator[Report]:
        self.problems = []
        seen: set[int] = set()
        current, row_of, sections = "", 0, list[tuple[str, str]]()
        for row in self._rows:
            study_id = row.study_id
            if not study_id:
                fix = "fill it or drop the row"
                self._complain_of(row.row, "an identifier", "nothing", fix)
                continue
            if study_id != current:
                if current:
                    yield Report(current, tuple(sections), row_of)
                current, row_of, sections = "", 0, []
                key = hash(study_id)
                if key in seen:
                    expected, got = "the rows of a study one after another", f"`{study_id}` again"
                    self._complain_of(row.row, expected, got, "sort the file by study_id")
                    continue
                seen.add(key)
                current, row_of = study_id, row.row
            sections.append((row.section, row.text))
        if current:
            yield Report(current, tuple(sections), row_of)

    def raise_problems(self) -> None:
        """Raise DataError with all bad rows met so far, if there are any."""
        if self.problems:
            raise DataError.from_problems(self.problems)

    def _complain_of(self, row: int, expected: str, got: str, fix: str) -> None:
        self._complain(Problem(self.path.name, expected, got, row=row, field="study_id", fix=fix))

    def _complain(self, problem: Problem) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)


def read_one_report(path: Path, study_id: str = "", *, encoding: str = "utf-8") -> Report:
    """One report: a text file, or with `study_id` one of many (manifest, table, folder).

    Raises DataError where the file cannot be read or decoded, or has no such study.
    """
    path = Path(path)
    if study_id:
        for report in ReportReader(path, encoding=encoding):
            if report.study_id == study_id:
                return report
        raise DataError(f"{path}, field study_id: expected a study `{study_id}`, got none")
    is_table = path.suffix in (*TABLES, *JSON_LINES, ".parquet", ".gz") and path.suffix != ".txt"
    if not path.is_file() or is_table:
        fix = "name a text file, or add --study"
        problem = Problem(str(path), "a text file with one report", "a table or nothing", fix=fix)
        raise DataError.from_problems([problem])
    text, wrong = decode_report(path, encoding)
    if wrong is not None:
        raise DataError.from_problems([wrong])
    return Report(path.stem, (("", text),), 1)
