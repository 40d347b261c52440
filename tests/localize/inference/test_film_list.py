"""Files, folders and manifests as lists of films."""

from __future__ import annotations

import os

import pytest

from data_manifests.support.errors import DataError
from localize.inference.film_list import film_files, films_to_predict, is_manifest
from tests.localize.models import film_manifest, write_films


def ids(films) -> list[str]:
    return [film.image_id for film in films]


def test_a_folder_gives_all_films_below_it_in_order(tmp_path):
    write_films(tmp_path / "b", [(20, 20)])
    write_films(tmp_path / "a" / "deep", [(20, 20), (20, 20)])
    (tmp_path / "notes.txt").write_text("not a film")
    films = films_to_predict([tmp_path], "")
    assert [film.path for film in films] == ["a/deep/film0.png", "a/deep/film1.png", "b/film0.png"]
    # Equal names are told apart by their folders, others keep the short name.
    assert ids(films) == ["a/deep/film0", "film1", "b/film0"]
    assert all(film.file.is_file() for film in films)


def test_files_are_taken_as_they_are_whatever_their_extension(tmp_path):
    path = write_films(tmp_path, [(20, 20)])[0]
    path.rename(tmp_path / "IM0001")
    assert ids(films_to_predict([tmp_path / "IM0001"], "")) == ["IM0001"]


def test_extensions_in_capitals_are_films_too(tmp_path):
    path = write_films(tmp_path, [(20, 20)])[0]
    path.rename(tmp_path / "FILM.PNG")
    assert ids(films_to_predict([tmp_path], "")) == ["FILM"]


@pytest.mark.parametrize(
    "names", [("a.png", "a.png"), ("a.png", "a.jpg")], ids=["one film twice", "two of one name"]
)
def test_films_that_would_share_an_id_are_refused(tmp_path, names):
    write_films(tmp_path, [(20, 20)])[0].rename(tmp_path / "a.png")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.png").read_bytes())
    with pytest.raises(DataError, match="both with the id 'a'"):
        films_to_predict([tmp_path / name for name in names], "")


def test_everything_that_is_missing_is_reported_at_once(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        films_to_predict([tmp_path / "no.png", tmp_path / "empty", tmp_path / "none"], "")
    assert [problem.got for problem in caught.value.problems] == [
        "no such path",
        "none",
        "no such path",
    ]


def test_a_manifest_gives_its_films_under_their_own_ids(tmp_path):
    paths = write_films(tmp_path, [(20, 20)] * 3)
    film_manifest(tmp_path, paths, splits=["train", "test", "test"])
    assert is_manifest(tmp_path)
    assert ids(films_to_predict([tmp_path], "")) == ["film0", "film1", "film2"]
    assert ids(films_to_predict([tmp_path], "test")) == ["film1", "film2"]
    with pytest.raises(DataError, match="split 'val'"):
        films_to_predict([tmp_path], "val")


def test_a_split_needs_a_manifest(tmp_path):
    write_films(tmp_path, [(20, 20)])
    with pytest.raises(DataError, match="--split: expected one manifest"):
        films_to_predict([tmp_path], "test")


def test_reports_and_labels_of_a_manifest_are_not_even_opened(tmp_path):
    """They may hold anything: a prediction does not depend on text."""
    film_manifest(tmp_path, write_films(tmp_path, [(20, 20)]))
    for name in ("reports.csv", "labels.csv"):
        (tmp_path / name).unlink()
        os.mkfifo(tmp_path / name)  # opening it would wait for ever
    assert ids(films_to_predict([tmp_path], "")) == ["film0"]


def test_a_path_out_of_the_manifests_root_is_refused(tmp_path):
    paths = write_films(tmp_path / "m", [(20, 20)])
    film_manifest(tmp_path / "m", paths)
    (tmp_path / "secret.png").write_bytes(paths[0].read_bytes())
    paths[0].unlink()
    paths[0].symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match="inside the image root"):
        films_to_predict([tmp_path / "m"], "")


def test_a_source_finds_the_film_of_each_id(tmp_path):
    paths = write_films(tmp_path, [(20, 20)] * 2)
    assert film_files(tmp_path) == {"film0": paths[0], "film1": paths[1]}


def test_a_prediction_among_the_films_is_no_manifest(tmp_path):
    (film,) = write_films(tmp_path, [(20, 20)])
    (tmp_path / "images.csv").write_text("image_id,path\nfilm0,film0.png\n")
    assert is_manifest(tmp_path)
    (tmp_path / "prediction.json").write_text("{}")
    assert not is_manifest(tmp_path)
    assert film_files(tmp_path) == {"film0": film}
