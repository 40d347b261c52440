"""`read_table` and `write_table`: one table of a manifest, CSV or (where it is large) parquet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from data_manifests.support.atomic import atomic_path
from data_manifests.support.csv_file import read_text_csv, text_csv_parts, write_csv
from data_manifests.support.errors import DataError, Problem

if TYPE_CHECKING:
    import pyarrow.parquet as pq

PARQUET_ROWS = 100_000  # larger tables are written as parquet: such a CSV is slow to parse


def write_table(table: pd.DataFrame, folder: Path, name: str) -> None:
    """Write `name.csv`, or `name.parquet` where the table has more than 100,000 rows."""
    if len(table) > PARQUET_ROWS:
        with atomic_path(folder / f"{name}.parquet") as temporary:
            table.to_parquet(temporary, index=False)
    else:
        write_csv(folder / f"{name}.csv", table)


def read_table(folder: Path, name: str) -> pd.DataFrame | None:
    """A table as text columns (CSV) or as stored (parquet); None where there is no file.

    Raises:
        DataError: both files, or an unreadable one.
    """
    path = table_path(folder, name)
    return None if path is None else next(table_parts(path, None))


def table_path(folder: Path, name: str) -> Path | None:
    """The file of a table: `name.csv` or `name.parquet`; None where there is neither.

    Raises:
        DataError: both.
    """
    csv, parquet = folder / f"{name}.csv", folder / f"{name}.parquet"
    if parquet.exists() and csv.exists():
        raise table_file_error(folder, f"one of {name}.csv and {name}.parquet", "both")
    return parquet if parquet.exists() else csv if csv.exists() else None


def table_parts(path: Path, rows: int | None) -> Iterator[pd.DataFrame]:
    """A table in parts of `rows` rows (whole where None), one part at least; as `read_table`.

    The index counts the rows of the file from 0.

    Raises:
        DataError: an unreadable file.
    """
    first = 0
    try:
        for part in _read_parquet(path, rows) if path.suffix == ".parquet" else _csv(path, rows):
            part.index = pd.RangeIndex(first, first + len(part))
            first += len(part)
            yield part
    except UnicodeDecodeError as error:
        got = f"{error.reason} at byte {error.start}"
        raise table_file_error(path, "UTF-8 text", got) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise table_file_error(path, "a CSV table with a header", str(error).strip()) from error
    except (OSError, ValueError) as error:
        kind = path.suffix.removeprefix(".")
        raise table_file_error(path, f"a {kind} table", str(error)) from error


def _csv(path: Path, rows: int | None) -> Iterator[pd.DataFrame]:
    if rows is None:
        yield read_text_csv(path)
    else:
        with text_csv_parts(path, rows) as parts:
            yield from parts


def _read_parquet(path: Path, rows: int | None) -> Iterator[pd.DataFrame]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        if rows is None:
            yield _whole(file)
            return
        if file.metadata.num_rows == 0:
            yield file.read().to_pandas()
        for batch in file.iter_batches(rows):
            yield batch.to_pandas()


def _whole(file: pq.ParquetFile) -> pd.DataFrame:
    """All rows, column by column: all at once take half as much memory again."""
    import pyarrow as pa

    empty = file.schema_arrow.empty_table().to_pandas()
    names = list(empty.columns)
    if not names or not empty.columns.is_unique or not all(isinstance(name, str) for name in names):
        whole: pd.DataFrame = file.read().to_pandas()
        return whole
    columns = {}
    for name in names:
        column = file.read([name], use_threads=False).combine_chunks().to_pandas()
        columns[name] = column[name].reset_index(drop=True)
        del column
        pa.default_memory_pool().release_unused()
    return pd.DataFrame(columns, copy=False)


def table_file_error(path: Path, expected: str, got: str) -> DataError:
    """The error of one file of a manifest."""
    # A parser's message may quote a line of the file; only its first line is shown.
    got = re.split(r"[\r\n]", got, maxsplit=1)[0][:200]
    return DataError.from_problems([Problem(file=str(path), expected=expected, got=got)])
