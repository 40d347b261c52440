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
from data_manifests.tables.table_file import PARQUET_ROWS, table_file_error, table_parts, table_path
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
_NUMBERS = {"images": IMAGE_NUMBERS, "boxes": BOX_NUMBERS, "attributes": None}


@dataclass(frozen=True)
class TableBlock:
    """Some rows of a table: numbers as float64, all else as text; NaN and "" where blank.

    The index of `table` counts the rows of its file from 0.
    """

    table: pd.DataFrame
    problems: tuple[Problem, ...]


def table_file(folder: Path, name: str) -> Path:
    """The file of a table, such as `boxes`: `boxes.csv`, or `boxes.parquet` where it is large.

    Raises:
        DataError: neither, or both.
    """
    path = table_path(folder, name)
    if path is None:
        raise table_file_error(folder / f"{name}.csv", "a table", "no such file")
    return path


def table_blocks(folder: Path, name: str, rows: int | None) -> Iterator[TableBlock]:
    """`images`, `boxes` or `attributes` in blocks of `rows` rows (all in one where None).

    There is at least one block: it has the columns of an empty table.

    Raises:
        DataError: no such file, not a table, or a column is missing.
    """
    yield from typed_parts(table_file(folder, name), rows, NEEDED[name], _NUMBERS[name])


def typed_parts(
    path: Path, rows: int | None, needed: Sequence[str], numbers: Sequence[str] | None
) -> Iterator[TableBlock]:
    """A file in blocks of rows; `numbers` are its numeric columns, None all but the first.

    Raises:
        DataError: not a table, or one of the `needed` columns is missing.
    """
    for table in table_parts(path, rows):
        missing = [column for column in needed if column not in table]
        if missing:
            expected = f"the columns {', '.join(needed)}"
            raise table_file_error(path, expected, f"no {', '.join(missing)}")
        yield _typed(path.name, table, list(table.columns[1:]) if numbers is None else numbers)


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


def _typed(file: str, table: pd.DataFrame, numbers: Sequence[str]) -> TableBlock:
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
                row=int(table.index[int(row)]) + 2,
                field=str(name),
                expected="a finite number",
                got=repr(text.iloc[row]),
            )
            for row in np.flatnonzero(bad)[:MAX_PROBLEMS]
        ]
        table[name] = parsed
    return TableBlock(table, tuple(problems))
