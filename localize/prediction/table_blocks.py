"""`table_blocks`: a table of a prediction in blocks of rows, CSV or (where it is large) parquet."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from data_manifests.support.atomic import atomic_path
from data_manifests.support.errors import DataError, Problem
from data_manifests.tables.table_file import PARQUET_ROWS
from data_manifests.tables.typed_tables import as_numbers
from localize.prediction.columns import (
    BOX_COLUMNS,
    BOX_NUMBERS,
    IMAGE_COLUMNS,
    IMAGE_NUMBERS,
    OPTIONAL_COLUMNS,
)

MAX_PROBLEMS = 10_000  # enough to see a pattern; more do not help
NEEDED = {
    "images": tuple(name for name in IMAGE_COLUMNS if name not in OPTIONAL_COLUMNS),
    "boxes": BOX_COLUMNS,
    "attributes": ("image_id",),
}


@dataclass(frozen=True)
class TableBlock:
    """Some rows of a table: numbers as float64, all else as text; NaN and "" where blank.

    `first` is the number of its first row, from 0; the index of `table` counts on from there.
    """

    table: pd.DataFrame
    first: int
    problems: tuple[Problem, ...]


def table_file(folder: Path, name: str) -> Path:
    """The file of a table, such as `boxes`: `boxes.csv`, or `boxes.parquet` if there is one.

    Raises:
        DataError: neither, or both.
    """
    csv, parquet = folder / f"{name}.csv", folder / f"{name}.parquet"
    if parquet.is_file():
        if csv.is_file():
            raise table_error(folder, f"one of {csv.name} and {parquet.name}", "both")
        return parquet
    if not csv.is_file():
        raise table_error(csv, "a table", "no such file")
    return csv


def table_blocks(folder: Path, name: str, rows: int | None) -> Iterator[TableBlock]:
    """`images`, `boxes` or `attributes` in blocks of `rows` rows (all in one where None).

    There is at least one block: it has the columns of an empty table.

    Raises:
        DataError: no such file, not a table, or a column is missing.
    """
    path = table_file(folder, name)
    first = 0
    for table in _read(path, rows):
        missing = [column for column in NEEDED[name] if column not in table]
        if missing:
            expected = f"the columns {', '.join(NEEDED[name])}"
            raise table_error(path, expected, f"no {', '.join(missing)}")
        table.index = pd.RangeIndex(first, first + len(table))
        yield _typed(path.name, table, _numbers(name, list(table.columns)), first)
        first += len(table)


def packed_tables(folder: Path) -> Path:
    """A folder with the tables where those of more than 100,000 rows are parquet.

    `folder` itself where none is so large, else a new folder beside it; `folder` stays as it is.
    A large CSV is slow to parse. Rows keep their order and numbers all digits; memory is constant.
    """
    large = [name for name in NEEDED if _lines(folder / f"{name}.csv") > PARQUET_ROWS + 1]
    if not large:
        return folder
    packed = folder.with_name(f"{folder.name}.packed")
    shutil.rmtree(packed, ignore_errors=True)  # of a run that was killed
    packed.mkdir()
    for name in NEEDED:
        if name in large:
            _pack(folder, name, packed / f"{name}.parquet")
        else:
            shutil.copyfile(folder / f"{name}.csv", packed / f"{name}.csv")
    return packed


def _lines(path: Path) -> int:
    with path.open("rb") as handle:
        return sum(block.count(b"\n") for block in iter(lambda: handle.read(1 << 20), b""))


def _pack(folder: Path, name: str, target: Path) -> None:
    import pyarrow.parquet as pq

    with ExitStack() as stack, atomic_path(target) as temporary:
        writer: pq.ParquetWriter | None = None
        for block in table_blocks(folder, name, PARQUET_ROWS):
            if block.problems:
                raise DataError.from_problems(block.problems)
            schema = None if writer is None else writer.schema
            part = pa.Table.from_pandas(block.table, schema, preserve_index=False)
            if writer is None:
                writer = stack.enter_context(pq.ParquetWriter(temporary, part.schema))
            writer.write_table(part)
        if writer is not None:
            writer.close()  # before the file is renamed


def table_error(path: Path, expected: str, got: str) -> DataError:
    """The error of one file of a prediction."""
    return DataError.from_problems([Problem(file=str(path), expected=expected, got=got)])


def _read(path: Path, rows: int | None) -> Iterator[pd.DataFrame]:
    try:
        if path.suffix == ".parquet":
            yield from _read_parquet(path, rows)
        else:
            yield from _read_csv(path, rows)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise table_error(path, "a CSV table with a header", str(error).strip()) from error
    except (pa.ArrowException, OSError) as error:
        raise table_error(path, "a parquet table", str(error)[:200]) from error


def _read_csv(path: Path, rows: int | None) -> Iterator[pd.DataFrame]:
    """As `read_text_csv`, in blocks."""
    with pd.read_csv(
        path,
        dtype="str",
        keep_default_na=False,
        na_filter=False,
        encoding="utf-8-sig",
        chunksize=rows or 2**31 - 1,
    ) as reader:
        yield from reader


def _read_parquet(path: Path, rows: int | None) -> Iterator[pd.DataFrame]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        if rows is None or file.metadata.num_rows == 0:
            yield file.read().to_pandas()
            return
        for batch in file.iter_batches(rows):
            yield batch.to_pandas()


def _numbers(name: str, columns: Sequence[str]) -> Sequence[str]:
    """The numeric columns of a table: all but the first of the attributes."""
    if name == "attributes":
        return list(columns[1:])
    return IMAGE_NUMBERS if name == "images" else BOX_NUMBERS


def _typed(file: str, table: pd.DataFrame, numbers: Sequence[str], first: int) -> TableBlock:
    """Numeric columns parsed, with a problem for each field that is no finite number."""
    problems: list[Problem] = []
    for name in table.columns:
        if name not in numbers:
            table[name] = table[name].astype("str").fillna("")
            continue
        text = table[name]
        parsed = as_numbers(text)
        bad = ~np.isfinite(parsed.to_numpy())
        is_text = not pd.api.types.is_numeric_dtype(text)
        bad &= (text != "").to_numpy(bool) if is_text else ~np.isnan(parsed.to_numpy())
        problems += [
            Problem(
                file=file,
                row=first + int(row) + 2,
                field=str(name),
                expected="a finite number",
                got=repr(text.iloc[row]),
            )
            for row in np.flatnonzero(bad)[:MAX_PROBLEMS]
        ]
        table[name] = parsed
    return TableBlock(table, first, tuple(problems))
