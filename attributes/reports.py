"""Streaming reader of reports: one study after another, whatever the size of the file."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_manifests.support.errors import DataError, Problem

COLUMNS = ("study_id", "section", "text")
# A report is some thousand characters; a field of this size is a damaged file (an open quote).
MAX_FIELD_CHARACTERS = 50_000_000
# Problems beyond this many are counted by reading on, but not kept.
MAX_PROBLEMS = 10_000


@dataclass(frozen=True, slots=True)
class Report:
    """The report of one study: (section name or "", text) pairs, and the row where it begins."""

    study_id: str
    sections: tuple[tuple[str, str], ...]
    row: int


class ReportReader:
    """Iterates over the reports of a manifest folder, a CSV or a parquet file.

    Rows of one study must follow one another. Bad rows are left out and kept in `problems`; the
    caller decides whether that is fatal (`raise_problems`). Iterating again starts anew.
    """

    def __init__(self, path: Path, *, encoding: str = "utf-8") -> None:
        self.path = find_reports_file(Path(path))
        self.encoding = encoding
        self.problems: list[Problem] = []

    def __iter__(self) -> Iterator[Report]:
        self.problems = []
        seen: set[int] = set()
        current, row_of, sections = "", 0, list[tuple[str, str]]()
        for row, study_id, section, text in self._rows():
            if study_id != current:
                if current:
                    yield Report(current, tuple(sections), row_of)
                current, row_of, sections = "", 0, []
                key = hash(study_id)
                if key in seen:
                    fix = "sort the file by study_id"
                    self._complain(
                        row,
                        "study_id",
                        "the rows of a study one after another",
                        f"`{study_id}` again",
                        fix,
                    )
                    continue
                seen.add(key)
                current, row_of = study_id, row
            sections.append((section, text))
        if current:
            yield Report(current, tuple(sections), row_of)

    def raise_problems(self) -> None:
        """Raise DataError with all bad rows met so far, if there are any."""
        if self.problems:
            raise DataError.from_problems(self.problems)

    def _complain(self, row: int, name: str, expected: str, got: str, fix: str = "") -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(
                Problem(self.path.name, expected, got, row=row, field=name, fix=fix)
            )

    def _rows(self) -> Iterator[tuple[int, str, str, str]]:
        source = self._parquet_rows() if self.path.suffix == ".parquet" else self._csv_rows()
        for row, study_id, section, text in source:
            if not study_id:
                self._complain(
                    row, "study_id", "an identifier", "nothing", "fill it or drop the row"
                )
                continue
            yield row, study_id, section, text

    def _csv_rows(self) -> Iterator[tuple[int, str, str, str]]:
        csv.field_size_limit(min(sys.maxsize, MAX_FIELD_CHARACTERS))
        # surrogateescape keeps undecodable bytes apart, so that the row can be named.
        with self.path.open(encoding=self.encoding, errors="surrogateescape", newline="") as handle:
            rows = csv.reader(handle)
            header = [name.strip() for name in next(rows, [])]
            if header:
                header[0] = header[0].removeprefix("\ufeff")
            places = self._places(header)
            width, line = len(header), rows.line_num
            while True:
                row = line + 1
                try:
                    fields = next(rows, None)
                except csv.Error as error:
                    self._complain(
                        row, "", "a CSV row", str(error), "correct the quotes of this row"
                    )
                    return
                if fields is None:
                    return
                line = rows.line_num
                if not fields:  # a blank line
                    continue
                if len(fields) != width:
                    self._complain(
                        row, "", f"{width} fields", f"{len(fields)}", "quote texts with commas"
                    )
                    continue
                values = [fields[place] if place >= 0 else "" for place in places]
                if not self._is_text(row, values):
                    continue
                yield row, values[0].strip(), values[1].strip(), values[2]

    def _is_text(self, row: int, values: Sequence[str]) -> bool:
        for name, value in zip(COLUMNS, values, strict=True):
            if not value.isascii():
                for character in value:
                    if "\ud800" <= character <= "\udfff":
                        byte = f"byte {ord(character) & 0xFF:#04x}"
                        fix = "save the file as UTF-8 or name its encoding, e.g. --encoding latin-1"
                        self._complain(row, name, f"{self.encoding} text", byte, fix)
                        return False
        return True

    def _parquet_rows(self) -> Iterator[tuple[int, str, str, str]]:
        import pyarrow.parquet as pq

        file = pq.ParquetFile(self.path)
        names = list(file.schema_arrow.names)
        places = self._places(names)
        wanted = [names[place] for place in places if place >= 0]
        row = 1
        for batch in file.iter_batches(batch_size=4096, columns=wanted):
            columns = {name: batch.column(name).to_pylist() for name in wanted}
            for number in range(batch.num_rows):
                row += 1
                values = [columns[name][number] if name in columns else "" for name in COLUMNS]
                texts = ["" if value is None else str(value) for value in values]
                yield row, texts[0].strip(), texts[1].strip(), texts[2]

    def _places(self, header: Sequence[str]) -> tuple[int, int, int]:
        missing = [name for name in ("study_id", "text") if name not in header]
        if missing:
            got = ", ".join(name[:40] for name in header[:10]) or "an empty file"
            raise DataError.from_problems(
                [
                    Problem(
                        self.path.name,
                        f"a column `{name}`",
                        got,
                        row=1,
                        field=name,
                        fix="rename the column",
                    )
                    for name in missing
                ]
            )
        places = [header.index(name) if name in header else -1 for name in COLUMNS]
        return places[0], places[1], places[2]


def find_reports_file(path: Path) -> Path:
    """The reports table: `path` itself, or reports.parquet / reports.csv of a manifest folder.

    Raises DataError where there is none.
    """
    if path.is_dir():
        for name in ("reports.parquet", "reports.csv"):
            if (path / name).is_file():
                return path / name
        raise DataError.from_problems(
            [
                Problem(
                    str(path),
                    "a manifest with reports.csv",
                    "none",
                    fix="name a manifest folder or a CSV",
                )
            ]
        )
    if not path.is_file():
        raise DataError.from_problems(
            [Problem(str(path), "a manifest folder or a CSV of reports", "no such file")]
        )
    return path


def read_one_report(path: Path, study_id: str = "") -> Report:
    """One report: a text file, or with `study_id` one of many (manifest folder, CSV, parquet).

    Raises DataError where the file cannot be read, is not UTF-8, or has no such study.
    """
    path = Path(path)
    if study_id:
        for report in ReportReader(path):
            if report.study_id == study_id:
                return report
        raise DataError(f"{path}, field study_id: expected a study `{study_id}`, got none")
    if not path.is_file() or path.suffix in (".csv", ".parquet"):
        fix = "name a text file, or add --study"
        problem = Problem(str(path), "a text file with one report", "a table or nothing", fix=fix)
        raise DataError.from_problems([problem])
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        got = f"byte {content[error.start]:#04x}"
        problem = Problem(str(path), "UTF-8 text", got, row=row, fix="save as UTF-8")
        raise DataError.from_problems([problem]) from error
    return Report(path.stem, (("", text),), 1)
