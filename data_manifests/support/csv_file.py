"""`write_csv` and `read_text_csv`: CSV tables whose text comes back as it was.

Python's writer quotes only the characters of its own line end, but readers end a row at a lone
carriage return, too. All CSV files of the toolkit are written here: rows end with LF, and fields
with either character are quoted.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from data_manifests.support.atomic import atomic_path

if TYPE_CHECKING:
    from _csv import Writer

    from pandas.io.parsers import TextFileReader


class TextFile(Protocol):
    """Anything that text can be written to."""

    def write(self, text: str, /) -> object: ...


class _LineFeedRows:
    """Ends with LF the rows that a CSV writer ends with CRLF; the writer writes row by row."""

    def __init__(self, file: TextFile) -> None:
        self.file = file

    def write(self, row: str) -> None:
        self.file.write(row.removesuffix("\r\n") + "\n")


def csv_writer(file: TextFile) -> Writer:
    """A row writer on an open file; text that holds a carriage return is quoted."""
    return csv.writer(_LineFeedRows(file), lineterminator="\r\n")


def csv_text(table: pd.DataFrame, *, header: bool = True) -> str:
    """`table` as CSV without its index; missing values are empty fields."""
    text = io.StringIO()
    _write(table, text, header)
    return text.getvalue()


def write_csv(target: Path, table: pd.DataFrame) -> None:
    """Write `table` as CSV without its index, atomically; missing values are empty fields."""
    with (
        atomic_path(target) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        _write(table, file, header=True)


def read_text_csv(path: Path) -> pd.DataFrame:
    """A CSV with every field as text, blanks as "", a byte-order mark and CRLF accepted."""
    with text_csv_parts(path, None) as reader:
        return reader.read()


def text_csv_parts(path: Path, rows: int | None) -> TextFileReader:
    """`read_text_csv` in parts of `rows` rows, to iterate over inside a `with`."""
    return pd.read_csv(
        path,
        dtype="str",
        keep_default_na=False,
        na_filter=False,
        encoding="utf-8-sig",
        chunksize=rows,
        iterator=True,
    )


def _write(table: pd.DataFrame, file: TextFile, header: bool) -> None:
    if not _has_carriage_return(table):  # as nearly always; half the time
        table.to_csv(file, index=False, header=header, lineterminator="\n")  # type: ignore[call-overload] # only `write` is called
        return
    rows = _LineFeedRows(file)
    table.to_csv(rows, index=False, header=header, lineterminator="\r\n")  # type: ignore[call-overload] # only `write` is called


def _has_carriage_return(table: pd.DataFrame) -> bool:
    texts = [table[name] for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    names = pd.Series([str(name) for name in table], dtype="str")
    return any(
        bool(column.astype("str").str.contains("\r", regex=False).any())
        for column in (names, *texts)
    )
