"""`typed_tables`: the columns of a manifest's tables, filled in and with their types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data_manifests.tables.columns import CORNERS, TABLE_COLUMNS


def typed_tables(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables with known columns filled in and typed; text that is no number becomes NaN."""
    return {name: typed_table(name, tables[name]) for name in TABLE_COLUMNS}


def typed_table(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """`typed_tables` of one table, or of some rows; the index starts anew."""
    numbers = {"images": ("width", "height"), "boxes": CORNERS}
    return _fill(table, TABLE_COLUMNS[name], numbers.get(name, ()))


def _fill(table: pd.DataFrame, columns: Sequence[str], numeric: Sequence[str]) -> pd.DataFrame:
    """Known columns first and typed, unknown ones kept; text that is no number becomes NaN."""
    filled: dict[str, pd.Series] = {}
    blank = pd.Series("", index=pd.RangeIndex(len(table)), dtype="str")  # shared by all
    for name in columns:
        if name not in table:
            unknown = pd.Series(np.nan, index=blank.index)
            filled[name] = unknown if name in numeric else blank
        elif name in numeric:
            filled[name] = as_numbers(table[name])
        else:
            filled[name] = table[name].astype("str").fillna("")
        filled[name] = filled[name].reset_index(drop=True)
    for column in table.columns:
        if column not in filled:
            filled[str(column)] = table[column].reset_index(drop=True)
    return pd.DataFrame(filled, copy=False)


def as_numbers(column: pd.Series) -> pd.Series:
    """float64; blank, and what is no number, is NaN."""
    if column.dtype == "float64":
        return column
    if not pd.api.types.is_numeric_dtype(column) and len(column):
        try:  # arrow parses clean text ten times faster than pandas
            text = pa.array(column.astype("str"), type=pa.large_string())
            text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.large_string()), text)
            numbers = pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False)
            return pd.Series(numbers, index=column.index, dtype="float64")
        except pa.ArrowInvalid:
            pass
    return pd.to_numeric(column, errors="coerce").astype("float64")


def numeric_if_all_numbers(column: pd.Series) -> pd.Series:
    """Numbers where every non-blank value is one, text otherwise (`007` stays a number)."""
    if pd.api.types.is_numeric_dtype(column):
        return column.astype("float64")
    text = column.astype("str").fillna("")
    numbers = as_numbers(text)
    return numbers if bool((numbers.notna() | (text == "")).all()) else text
