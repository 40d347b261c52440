from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_manifests.support import membership
from data_manifests.support.membership import (
    Lookup,
    first_rows,
    is_member,
    may_differ,
    may_repeat,
    places,
    text_codes,
)


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


def test_first_rows_and_codes_are_those_of_pandas(monkeypatch) -> None:
    monkeypatch.setattr(membership, "HASHED_AT_A_TIME", 7)
    random = np.random.default_rng(2)
    for size in (0, 1, 5, 20, 400):
        column = texts(*map(str, random.integers(100, size=size)))
        assert first_rows(column).tolist() == column.drop_duplicates().index.tolist()
        assert text_codes(column).tolist() == pd.factorize(column)[0].tolist()
    monkeypatch.setattr(
        membership, "text_hashes", lambda column: column.str.len().to_numpy(np.uint64)
    )  # texts of one length share a hash
    assert first_rows(texts("b", "a", "b", "cc")).tolist() == [0, 1, 3]
    assert text_codes(texts("b", "a", "b", "cc")).tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize("few", [0, 10**6])
def test_membership_is_that_of_a_slow_loop_on_either_way(few: int, monkeypatch) -> None:
    monkeypatch.setattr(membership, "FEW", few)
    random = np.random.default_rng(2)
    known = texts(*map(str, random.integers(60, size=80)), "")
    asked = texts(*map(str, random.integers(90, size=50)), "", "\u00e9")
    listed = known.tolist()
    assert is_member(asked, known).tolist() == [one in listed for one in asked]
    assert is_member(asked, iter(listed)).tolist() == [one in listed for one in asked]
    expected = [listed.index(one) if one in listed else -1 for one in asked]
    assert places(asked, known).tolist() == expected
    assert places(texts(), known).tolist() == []
    assert is_member(asked, texts()).tolist() == [False] * len(asked)
