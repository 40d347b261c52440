"""`is_member`, `places`, `Lookup`: which texts of a column occur in another column, and where."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data_manifests.support.arrays import Bools, Hashes, Ints

HASHED_AT_A_TIME = 50_000  # texts that are Python objects together
# Up to here Python's set is as fast as Arrow's, whose hash table never comes back when it gets no
# memory (pyarrow 26: `SetLookupState` goes round for ever instead of raising).
FEW = 20_000


def is_member(column: pd.Series, known: Iterable[str]) -> Bools:
    """Whether each text of `column` is one of `known`; (len(column),) bool.

    `Series.isin` loops in Python over text columns: 4 s for a million values, against 0.2 s here.
    """
    texts = pd.Series(known, dtype="str")
    if len(column) + len(texts) <= FEW:
        kept, asked = set(texts.tolist()), column.astype("str").tolist()
        return np.fromiter((one in kept for one in asked), np.bool_, len(asked))
    values = pa.array(column.astype("str"), type=pa.large_string())
    value_set = pa.array(texts, type=pa.large_string())
    found: Bools = pc.is_in(values, value_set=value_set).to_numpy(zero_copy_only=False)
    return found


def places(column: pd.Series, known: pd.Series) -> Ints:
    """The place of each text of `column` in `known`, the first of equal ones; -1 where in none."""
    if len(column) + len(known) <= FEW:
        listed, asked = known.astype("str").tolist(), column.astype("str").tolist()
        first = {text: place for place, text in reversed(list(enumerate(listed)))}
        return np.fromiter((first.get(one, -1) for one in asked), np.int64, len(asked))
    values = pa.array(column.astype("str"), type=pa.large_string())
    value_set = pa.array(known.astype("str"), type=pa.large_string())
    found = pc.fill_null(pc.index_in(values, value_set=value_set), -1)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)


class Lookup:
    """`places` in one column, asked for many short columns; 16 bytes a text instead of about 100.

    Texts are found by their hash and then compared. Where two texts of the column have one hash,
    they are nearly always equal: then each question goes through `places`.
    """

    def __init__(self, known: pd.Series) -> None:
        self._known = known
        hashes = text_hashes(known)
        self._order = np.argsort(hashes, kind="stable").astype(np.int64)
        self._hashes = hashes[self._order]
        self._is_unique = not _repeats(self._hashes)

    def places(self, column: pd.Series) -> Ints:
        """As the function `places`."""
        if not self._is_unique:
            return places(column, self._known)
        if not len(self._known):
            return np.full(len(column), -1, np.int64)
        at = np.searchsorted(self._hashes, text_hashes(column))
        found = self._order[np.minimum(at, len(self._order) - 1)]
        is_same = self._known.iloc[found].to_numpy(object) == column.to_numpy(object)
        return np.where(is_same, found, -1)


def may_repeat(column: pd.Series) -> bool:
    """False where no text comes twice; true where one does, or (hardly ever) two hashes agree."""
    hashes = text_hashes(column)
    hashes.sort()
    return _repeats(hashes)


def may_differ(column: pd.Series, values: pd.Series) -> bool:
    """False where rows with one text in `column` have one of the few `values`; else as above."""
    hashes = text_hashes(column)
    order = np.argsort(hashes)
    hashes, codes = hashes[order], pd.factorize(values)[0][order]
    return bool(((hashes[1:] == hashes[:-1]) & (codes[1:] != codes[:-1])).any())


def text_hashes(column: pd.Series) -> Hashes:
    """A 64-bit hash of each text; (len(column),)."""
    hashes = np.empty(len(column), np.uint64)
    for start in range(0, len(column), HASHED_AT_A_TIME):
        rows = slice(start, start + HASHED_AT_A_TIME)
        hashes[rows] = pd.util.hash_array(column.iloc[rows].to_numpy(object), categorize=False)
    return hashes


def _repeats(ordered: Hashes) -> bool:
    return bool((ordered[1:] == ordered[:-1]).any())
