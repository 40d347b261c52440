"""`is_member`, `places`, `Lookup`, `text_codes`: texts that occur in a column, or in two.

What pandas does with a table of all distinct texts is done here with their 64-bit hashes, in a
fifth of the memory. Equal texts have equal hashes; the reverse is checked, or left to the caller
(`may_repeat`, `may_differ`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
        self._order = np.argsort(hashes, kind="stable").astype(np.int64, copy=False)
        self._hashes = hashes[self._order]
        self._is_unique = not _repeats(self._hashes)

    def places(self, column: pd.Series) -> Ints:
        """As the function `places`."""
        if not self._is_unique:
            return places(column, self._known)
        found = np.full(len(column), -1, np.int64)
        if len(self._known):
            for start in range(0, len(column), HASHED_AT_A_TIME):
                rows = slice(start, start + HASHED_AT_A_TIME)
                found[rows] = self._of(column.iloc[rows])
        return found

    def _of(self, column: pd.Series) -> Ints:
        at = np.searchsorted(self._hashes, text_hashes(column))
        found = self._order[np.minimum(at, len(self._order) - 1)]
        is_same = self._known.iloc[found].to_numpy(object) == column.to_numpy(object)
        return np.where(is_same, found, -1)


def may_repeat(
    column: pd.Series,
    where: Bools | None = None,
    *,
    key: Callable[[pd.Series], pd.Series] | None = None,
) -> bool:
    """False where no text comes twice; true where one does, or (hardly ever) two hashes agree.

    Only the rows of `where` count, if given; `key` is applied to the texts first.
    """
    hashes = text_hashes(column, key)
    if where is not None:
        hashes = hashes[where]
    hashes.sort()
    return _repeats(hashes)


def may_differ(column: pd.Series, values: pd.Series, where: Bools | None = None) -> bool:
    """False where rows with one text in `column` have one of the few `values`; else as above."""
    hashes, codes = text_hashes(column), pd.factorize(values)[0].astype(np.int32)
    if where is not None:
        hashes, codes = hashes[where], codes[where]
    order = np.argsort(hashes)
    hashes, codes = hashes[order], codes[order]
    return bool(((hashes[1:] == hashes[:-1]) & (codes[1:] != codes[:-1])).any())


def first_rows(column: pd.Series) -> Ints:
    """The number of the row where each distinct text comes first, rising; as `drop_duplicates`."""
    first = _first_of_each(column)
    rows: Ints = np.flatnonzero(first == np.arange(len(first)))
    return rows


def text_codes(column: pd.Series) -> Ints:
    """The number of each text, distinct ones numbered as they come; as `pandas.factorize`."""
    first = _first_of_each(column)
    is_first = first == np.arange(len(first))
    codes: Ints = (np.cumsum(is_first) - 1)[first]
    return codes


def _first_of_each(column: pd.Series) -> Ints:
    """The row where the text of each row comes first; (len(column),)."""
    hashes = text_hashes(column)
    order = np.argsort(hashes, kind="stable")
    hashes = hashes[order]
    is_again = np.zeros(len(hashes), np.bool_)
    is_again[1:] = hashes[1:] == hashes[:-1]
    del hashes
    again = np.flatnonzero(is_again)
    for start in range(0, len(again), HASHED_AT_A_TIME):
        rows = again[start : start + HASHED_AT_A_TIME]
        text, before = column.iloc[order[rows]], column.iloc[order[rows - 1]]
        if bool((text.array != before.array).any()):  # two hashes agree
            codes = pd.factorize(column)[0]
            return np.unique(codes, return_index=True)[1][codes].astype(np.int64)
    starts = np.flatnonzero(~is_again)
    first = np.empty(len(order), np.int64)
    first[order] = np.repeat(order[starts], np.diff(np.append(starts, len(order))))
    return first


def text_hashes(column: pd.Series, key: Callable[[pd.Series], pd.Series] | None = None) -> Hashes:
    """A 64-bit hash of each text, or of `key` of it; (len(column),)."""
    hashes = np.empty(len(column), np.uint64)
    for start in range(0, len(column), HASHED_AT_A_TIME):
        rows = slice(start, start + HASHED_AT_A_TIME)
        texts = column.iloc[rows] if key is None else key(column.iloc[rows])
        hashes[rows] = pd.util.hash_array(texts.to_numpy(object), categorize=False)
    return hashes


def _repeats(ordered: Hashes) -> bool:
    return bool((ordered[1:] == ordered[:-1]).any())
