"""`read_table` and `write_table`: one table of a manifest, CSV or (where it is large) parquet."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from data_manifests.support.atomic import atomic_path
from data_manifests.support.csv_file import read_text_csv, write_csv
from data_manifests.support.errors import DataError, Problem

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
    csv, parquet = folder / f"{name}.csv", folder / f"{name}.parquet"
    if parquet.exists() and csv.exists():
        raise table_file_error(folder, f"one of {name}.csv and {name}.parquet", "both")
    try:
        if parquet.exists():
            return pd.read_parquet(parquet)
        if csv.exists():
            return read_text_csv(csv)
    except UnicodeDecodeError as error:
        raise table_file_error(
            csv, "UTF-8 text", f"{error.reason} at byte {error.start}"
        ) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise table_file_error(csv, "a CSV table with a header", str(error).strip()) from error
    except (OSError, ValueError) as error:
        raise table_file_error(parquet, "a parquet table", str(error)) from error
    return None


def table_file_error(path: Path, expected: str, got: str) -> DataError:
    """The error of one file of a manifest."""
    # A parser's message may quote a line of the file; only its first line is shown.
    got = re.split(r"[\r\n]", got, maxsplit=1)[0][:200]
    return DataError.from_problems([Problem(file=str(path), expected=expected, got=got)])
