"""`is_member`, `places`: which texts of a column occur in another column, and where."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data_manifests.support.arrays import Bools, Ints


def is_member(column: pd.Series, known: Iterable[str]) -> Bools:
    """Whether each text of `column` is one of `known`; (len(column),) bool.

    `Series.isin` loops in Python over text columns: 4 s for a million values, against 0.2 s here.
    """
    values = pa.array(column.astype("str"), type=pa.large_string())
    value_set = pa.array(pd.Series(known, dtype="str"), type=pa.large_string())
    found: Bools = pc.is_in(values, value_set=value_set).to_numpy(zero_copy_only=False)
    return found


def places(column: pd.Series, known: pd.Series) -> Ints:
    """The place of each text of `column` in `known`, the first of equal ones; -1 where in none."""
    values = pa.array(column.astype("str"), type=pa.large_string())
    value_set = pa.array(known.astype("str"), type=pa.large_string())
    found = pc.fill_null(pc.index_in(values, value_set=value_set), -1)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)
