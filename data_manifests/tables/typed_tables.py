"""`typed_tables`: the columns of a manifest's tables, filled in and with their types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data_manifests.tables.columns import BOX_COLUMNS, CORNERS, IMAGE_COLUMNS, REPORT_COLUMNS


def typed_tables(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables with known columns filled in and typed; text that is no number becomes NaN."""
    return {
        "images": _fill(tables["images"], IMAGE_COLUMNS, ("width", "height")),
        "boxes": _fill(tables["boxes"], BOX_COLUMNS, CORNERS),
        "reports": _fill(tables["reports"], REPORT_COLUMNS, ()),
        "labels": _fill(tables["labels"], ("image_id",), ()),
    }


def typed_boxes(table: pd.DataFrame) -> pd.DataFrame:
    """`typed_tables` of some rows of the boxes; the index starts anew."""
    return _fill(table, BOX_COLUMNS, CORNERS)


def _fill(table: pd.DataFrame, columns: Sequence[str], numeric: Sequence[str]) -> pd.DataFrame:
    """Known columns first and typed, unknown ones kept; text that is no number becomes NaN."""
    filled: dict[str, pd.Series] = {}
    for name in columns:
        if name not in table:
            blank: float | str = np.nan if name in numeric else ""
            filled[name] = pd.Series([blank] * len(table), dtype=None if name in numeric else "str")
        elif name in numeric:
            filled[name] = as_numbers(table[name])
        else:
            filled[name] = table[name].astype("str").fillna("")
        filled[name] = filled[name].reset_index(drop=True)
    for column in table.columns:
        if column not in filled:
            filled[str(column)] = table[column].reset_index(drop=True)
    return pd.DataFrame(filled)


def as_numbers(column: pd.Series) -> pd.Series:
    """float64; blank, and what is no number, is NaN."""
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
