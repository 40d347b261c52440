"""`ReportRows`: the rows of a file or folder of reports, whatever its format."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from data_manifests.support.errors import ConfigError, DataError, Problem

# A report is some thousand characters; a field of this size is a damaged file (an open quote).
MAX_FIELD_CHARACTERS = 50_000_000
DELIMITERS = (",", ";", "\t", "|")
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
TABLES = (".csv", ".tsv", ".txt", ".tab")
JSON_LINES = (".jsonl", ".ndjson")
FORMATS = "CSV, TSV (comma, semicolon or tab; also .gz), JSONL, parquet, a folder of .txt files"

Complain = Callable[[Problem], None]


@dataclass(frozen=True)
class ReportColumns:
    """The names of the columns of a table of reports; `section` may be missing."""

    study_id: str = "study_id"
    text: str = "text"
    section: str = "section"

    @property
    def names(self) -> tuple[str, str, str]:
        """In the order in which rows give them."""
        return self.study_id, self.section, self.text


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One section of one study, and the line where it stands (1 = first)."""

    row: int
    study_id: str
    section: str
    text: str


class ReportRows:
    """Streams the rows of reports; bad ones go to `complain` and are left out."""

    def __init__(
        self, path: Path, *, encoding: str, columns: ReportColumns, complain: Complain
    ) -> None:
        try:
            codecs.lookup(encoding)
        except LookupError as error:
            raise ConfigError(
                f"--encoding: expected an encoding such as utf-8, latin-1 or utf-16, "
                f"got `{encoding}`"
            ) from error
        self.path, self.encoding, self.columns = path, encoding, columns
        self._complain = complain

    def __iter__(self) -> Iterator[ReportRow]:
        suffix = _suffix(self.path)
        if self.path.is_dir():
            return self._text_file_rows()
        if suffix == ".parquet":
            return self._parquet_rows()
        if suffix in JSON_LINES:
            return self._json_rows()
        if suffix in TABLES or not suffix:
            return self._table_rows()
        raise DataError.from_problems(
            [Problem(str(self.path), FORMATS, f"a {suffix} file", fix="convert the file")]
        )

    def _problem(self, row: int, name: str, expected: str, got: str, fix: str = "") -> None:
        self._complain(Problem(self.path.name, expected, got, row=row, field=name, fix=fix))

    def _open(self) -> TextIO:
        """The file as text, unpacked, in the encoding that its first bytes name."""
        # A gzip file is a BinaryIO in all but name.
        handle = cast(
            BinaryIO,
            gzip.open(self.path, "rb") if self.path.suffix == ".gz" else self.path.open("rb"),
        )
        try:
            start = handle.read(4)
        except (OSError, EOFError, zlib.error) as error:
            handle.close()
            problem = Problem(str(self.path), "a gzip file", str(error), fix="unpack it again")
            raise DataError.from_problems([problem]) from error
        handle.seek(0)
        encoding = next(
            (name for mark, name in BYTE_ORDER_MARKS if start.startswith(mark)), self.encoding
        )
        if b"\0" in start and encoding == self.encoding and "16" not in encoding:
            handle.close()
            problem = Problem(
                str(self.path),
                f"{encoding} text",
                "NUL bytes",
                row=1,
                fix="name its encoding, e.g. --encoding utf-16-le",
            )
            raise DataError.from_problems([problem])
        # surrogateescape keeps undecodable bytes apart, so that the row can be named.
        errors = "strict" if "16" in encoding else "surrogateescape"
        return TextIOWrapper(handle, encoding=encoding, errors=errors, newline="")

    def _is_text(self, row: int, values: Sequence[str]) -> bool:
        for name, value in zip(self.columns.names, values, strict=True):
            if not value.isascii():
                for character in value:
                    if "\ud800" <= character <= "\udfff":
                        byte = f"byte {ord(character) & 0xFF:#04x}"
                        fix = "save the file as UTF-8 or name its encoding, e.g. --encoding latin-1"
                        self._problem(row, name, f"{self.encoding} text", byte, fix)
                        return False
        return True

    def _table_rows(self) -> Iterator[ReportRow]:
        csv.field_size_limit(min(sys.maxsize, MAX_FIELD_CHARACTERS))
        with self._open() as handle:
            lines = _checked(handle, self.path)
            first = next(lines, "")
            delimiter = self._delimiter(first)
            header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
            places = self._places(header)
            # strict: a quote that is not closed is an error, and does not swallow other studies.
            rows = csv.reader(lines, delimiter=delimiter, strict=True)
            width, line = len(header), 0
            while True:
                row = line + 2
                try:
                    fields = next(rows, None)
                except csv.Error as error:
                    got = str(error)
                    if rows.line_num - line > 1:
                        got += f", after {rows.line_num - line} lines"
                    self._problem(row, "", "a CSV row", got, "correct the quotes of this row")
                    line = rows.line_num
                    continue
                if fields is None:
                    return
                line = rows.line_num
                if not fields:  # a blank line
                    continue
                if len(fields) != width:
                    fix = f"quote texts with `{delimiter}`"
                    self._problem(row, "", f"{width} fields", f"{len(fields)}", fix)
                    continue
                values = [fields[place] if place >= 0 else "" for place in places]
                if self._is_text(row, values):
                    yield ReportRow(row, values[0].strip(), values[1].strip(), values[2])

    def _delimiter(self, header: str) -> str:
        """The delimiter under which the header has the columns, else the most frequent one."""
        for delimiter in DELIMITERS:
            names = {name.strip().strip('"') for name in header.split(delimiter)}
            if {self.columns.study_id, self.columns.text} <= names:
                return delimiter
        return max(DELIMITERS, key=header.count)

    def _json_rows(self) -> Iterator[ReportRow]:
        with self._open() as handle:
            for number, line in enumerate(_checked(handle, self.path), start=1):
                if not line.strip():
                    continue
                try:
                    item = json.loads(line)
                    if not isinstance(item, dict):
                        raise ValueError(f"a {type(item).__name__}")
                except (ValueError, RecursionError) as error:
                    self._problem(number, "", "a JSON object on each line", str(error)[:80])
                    continue
                missing = [
                    name for name in (self.columns.study_id, self.columns.text) if name not in item
                ]
                for name in missing:
                    got = ", ".join(str(key)[:40] for key in list(item)[:10]) or "no fields"
                    self._problem(number, name, f"a field `{name}`", got, self._rename(name))
                if missing:
                    continue
                values = [
                    "" if item.get(name) is None else str(item[name]) for name in self.columns.names
                ]
                if self._is_text(number, values):
                    yield ReportRow(number, values[0].strip(), values[1].strip(), values[2])

    def _parquet_rows(self) -> Iterator[ReportRow]:
        import pyarrow.parquet as pq

        file = pq.ParquetFile(self.path)
        places = self._places(list(file.schema_arrow.names))
        names = list(file.schema_arrow.names)
        wanted = [names[place] for place in places if place >= 0]
        row = 1
        for batch in file.iter_batches(batch_size=4096, columns=wanted):
            columns = {name: batch.column(name).to_pylist() for name in wanted}
            for number in range(batch.num_rows):
                row += 1
                texts = [
                    "" if name not in columns or columns[name][number] is None
                    else str(columns[name][number])
                    for name in self.columns.names
                ]  # fmt: skip
                yield ReportRow(row, texts[0].strip(), texts[1].strip(), texts[2])

    def _text_file_rows(self) -> Iterator[ReportRow]:
        """One report a file; the study is the name of the file."""
        for path in sorted(self.path.rglob("*.txt"), key=lambda path: path.stem):
            text, problem = decode_report(path, self.encoding)
            if problem is not None:
                self._complain(problem)
                continue
            yield ReportRow(1, path.stem, "", text)

    def _rename(self, name: str) -> str:
        option = "--id-column" if name == self.columns.study_id else "--text-column"
        return f"rename the column or name yours: {option} NAME"

    def _places(self, header: Sequence[str]) -> list[int]:
        missing = [
            name for name in (self.columns.study_id, self.columns.text) if name not in header
        ]
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
                        fix=self._rename(name),
                    )
                    for name in missing
                ]
            )
        return [header.index(name) if name in header else -1 for name in self.columns.names]


def decode_report(path: Path, encoding: str = "utf-8") -> tuple[str, Problem | None]:
    """The text of a file, or a problem that names the line of its first wrong byte."""
    content = path.read_bytes()
    named = next((name for mark, name in BYTE_ORDER_MARKS if content.startswith(mark)), encoding)
    try:
        return content.decode(named), None
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        got = f"byte {content[error.start]:#04x}"
        fix = "save as UTF-8 or name its encoding, e.g. --encoding latin-1"
        return "", Problem(str(path), f"{named.upper()} text", got, row=row, fix=fix)


def find_reports(path: Path) -> Path:
    """Where the reports of `path` are: the table of a manifest, a file, or a folder of .txt files.

    Raises DataError where there are none.
    """
    if path.is_dir():
        for name in ("reports.parquet", "reports.csv"):
            if (path / name).is_file():
                return path / name
        if next(path.rglob("*.txt"), None) is not None:
            return path
        problem = Problem(
            str(path),
            "a manifest with reports.csv, or .txt files",
            "none",
            fix=f"name a manifest folder or {FORMATS}",
        )
        raise DataError.from_problems([problem])
    if not path.is_file():
        problem = Problem(str(path), "a manifest folder or a file of reports", "no such file")
        raise DataError.from_problems([problem])
    return path


def _suffix(path: Path) -> str:
    """The suffix that names the format: ".csv" of "reports.csv.gz"."""
    return Path(path.stem).suffix.lower() if path.suffix == ".gz" else path.suffix.lower()


def _checked(handle: TextIO, path: Path) -> Iterator[str]:
    """The lines of a file; damage in the middle of it is an error of the data."""
    try:
        yield from handle
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        problem = Problem(str(path), "a readable file", str(error), fix="unpack or convert again")
        raise DataError.from_problems([problem]) from error
