from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_manifests.support import membership
from data_manifests.support.membership import Lookup, first_rows, may_differ, may_repeat, places


def texts(*values: str) -> pd.Series:
    return pd.Series(list(values), dtype="str")


@pytest.mark.parametrize("has_repeats", [False, True])
def test_a_lookup_finds_the_places_of_the_whole_column(has_repeats: bool, monkeypatch) -> None:
    monkeypatch.setattr(membership, "HASHED_AT_A_TIME", 7)
    random = np.random.default_rng(0)
    known = texts(*(f"film {k}" for k in random.permutation(50)), "", "\u00e9")
    if has_repeats:
        known = pd.concat([known, known.iloc[[3, 8]]], ignore_index=True)
    asked = texts(*(f"film {k}" for k in random.integers(80, size=40)), "", "\u00e9", "e\u0301")
    found = Lookup(known).places(asked)
    assert found.tolist() == places(asked, known).tolist()
    assert (found == -1).any()
    assert (found >= 0).any()


def test_a_lookup_compares_texts_whose_hashes_agree(monkeypatch) -> None:
    monkeypatch.setattr(
        membership, "text_hashes", lambda column: column.str.len().to_numpy(np.uint64)
    )
    lookup = Lookup(texts("a", "bb", "ccc"))  # unique hashes, shared by other texts
    assert lookup.places(texts("bb", "xx", "a", "dddd")).tolist() == [1, -1, 0, -1]
    collided = Lookup(texts("a", "b", "cc"))
    assert collided.places(texts("b", "x", "cc")).tolist() == [1, -1, 2]


def test_nothing_is_found_in_an_empty_column() -> None:
    assert Lookup(texts()).places(texts("a", "b")).tolist() == [-1, -1]
    assert Lookup(texts("a")).places(texts()).tolist() == []


def test_repeats_and_differences_are_those_of_pandas() -> None:
    random = np.random.default_rng(1)
    for size in (2, 5, 20, 400):
        column = texts(*map(str, random.integers(100, size=size)))
        values = texts(*random.choice(["train", "val"], p=[0.9, 0.1], size=size))
        assert may_repeat(column) == column.duplicated().any()
        assert may_differ(column, values) == (values.groupby(column).nunique() > 1).any()
        where = random.random(size) < 0.5
        some = column[where]
        assert may_repeat(column, where) == some.duplicated().any()
        assert may_repeat(column, key=lambda block: block.str[:1]) == (
            column.str[:1].duplicated().any()
        )
        assert may_differ(column, values, where) == (
            (values[where].groupby(some).nunique() > 1).any()
        )
    assert not may_differ(texts("a", "a", "b"), texts("x", "x", "y"))


def test_first_rows_are_those_that_pandas_keeps(monkeypatch) -> None:
    monkeypatch.setattr(membership, "HASHED_AT_A_TIME", 7)
    random = np.random.default_rng(2)
    for size in (0, 1, 5, 20, 400):
        column = texts(*map(str, random.integers(100, size=size)))
        assert first_rows(column).tolist() == column.drop_duplicates().index.tolist()
    monkeypatch.setattr(
        membership, "text_hashes", lambda column: column.str.len().to_numpy(np.uint64)
    )  # texts of one length share a hash
    assert first_rows(texts("b", "a", "b", "cc")).tolist() == [0, 1, 3]
