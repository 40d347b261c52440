from __future__ import annotations

import os
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_manifests.support.errors import DataError
from localize.formats.hub import film_names as module
from localize.formats.hub.film_names import (
    SafeNames,
    film_name,
    film_names,
    repeated_names,
    split_suffix,
)
from tests.localize.formats.films import HOSTILE_NAMES


@pytest.mark.parametrize(
    ("path", "root", "name"),
    [
        ("ward/a.png", "", "ward/a.png"),
        ("/data/films/ward/a.png", "/data/films", "ward/a.png"),
        ("/data/other/a.png", "/data/films", "a.png"),
        ("/home/anna/a.png", "", "a.png"),
        ("../../a.png", "", "a.png"),
        ("", "", "image-1"),
    ],
    ids=["relative", "inside the root", "outside the root", "absolute", "leading out", "blank"],
)
def test_films_are_named_without_the_folders_of_this_computer(path, root, name):
    assert film_names([path], ["image-1"], root) == [name]


@given(st.text(alphabet="a./\\ \n", min_size=1, max_size=8))
def test_a_name_is_the_path_as_pathlib_writes_it(path):
    pure = PurePosixPath(path)
    leads_out = pure.is_absolute() or ".." in pure.parts
    assert film_name(path, "image-1", None) == (pure.name if leads_out else pure.as_posix())


def test_two_films_of_one_name_are_refused_with_advice():
    with pytest.raises(DataError, match=r"'a\.png'.*--image-root"):
        film_names(["/x/a.png", "/y/a.png"], ["1", "2"])


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.png", ("a", ".png")),
        ("a.b.JPG", ("a.b", ".JPG")),
        ("1.2.840.113", ("1.2.840.113", "")),
        ("1.2.840.dcm", ("1.2.840", ".dcm")),
        (".png", (".png", "")),
    ],
)
def test_only_image_endings_are_extensions(name, parts):
    assert split_suffix(name) == parts


@pytest.mark.parametrize(
    ("name", "safe"),
    [("a.png", "a"), ("ward 1/胸部.v2.png", "ward 1/胸部.v2"), ("1.2.3", "1.2.3")],
)
def test_harmless_names_stay_as_they_are(name, safe):
    assert SafeNames([name]).of(name) == safe


def test_dots_can_be_replaced():
    assert SafeNames(["w.1/1.2.3.dcm"], replace_dots=True).of("w.1/1.2.3.dcm") == "w_1/1_2_3"


def check_safe(names):
    safe = SafeNames(names)
    paths = [safe.of(name) for name in names]
    assert len({path.casefold() for path in paths}) == len(set(names))
    for path in paths:
        assert not os.path.isabs(path)
        assert os.path.normpath(f"/out/{path}.xml").startswith("/out/")
        assert all(part not in ("", ".", "..") for part in path.split("/"))
        assert all(len(os.fsencode(part)) <= 200 for part in path.split("/"))
        assert path.isprintable() or any(c.isspace() for c in path)
        assert not set(path) & set('\\:*?"<>|\x00\n')


def test_hostile_names_become_different_paths_inside_the_folder():
    check_safe(HOSTILE_NAMES)


@given(
    st.lists(st.text(alphabet=st.characters(), max_size=40), min_size=1, max_size=8, unique=True)
)
def test_any_names_become_different_paths_inside_the_folder(names):
    safe = SafeNames(names)
    paths = [safe.of(name) for name in names]
    assert len({path.casefold() for path in paths}) == len(names)
    for path in paths:
        assert os.path.normpath(f"/out/{path}.xml").startswith("/out/")
        path.encode("utf-8")


def test_names_do_not_depend_on_the_order_of_films():
    names = list(HOSTILE_NAMES)
    forwards, backwards = SafeNames(names), SafeNames(reversed(names))
    assert [forwards.of(name) for name in names] == [backwards.of(name) for name in names]


@given(st.lists(st.sampled_from(["a", "b", "c", "d\ud800", ""])))
def test_repeated_names_are_those_that_come_twice(names):
    assert repeated_names(lambda: names) == {name for name in names if names.count(name) > 1}


def test_names_of_one_hash_are_not_taken_for_equal(monkeypatch):
    monkeypatch.setattr(module, "_hash", len)
    assert repeated_names(lambda: ["aa", "bb", "c", "bb"]) == {"bb"}
    with pytest.raises(DataError, match=r"'bb'"):
        film_names(["aa", "bb", "c", "bb"], ["1", "2", "3", "4"])
    assert film_names(["aa", "bb"], ["1", "2"]) == ["aa", "bb"]
