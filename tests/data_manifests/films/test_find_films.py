"""Which files of a folder are films."""

from __future__ import annotations

import os

import pytest

from data_manifests.films.find_films import film_stem, find_films, readable_name
from tests.data_manifests.film_files import write_dicom, write_jpeg, write_png


def test_films_are_found_by_ending_or_first_bytes_and_hidden_files_are_not(tmp_path):
    expected = [
        write_jpeg(tmp_path / "a.JPG"),
        write_dicom(tmp_path / "disc" / "IM000001"),
        write_dicom(tmp_path / "disc" / "1.2.840.10008.5"),
        write_png(tmp_path / "disc" / "sub" / "b.png"),
        write_png(tmp_path / "c.png").rename(tmp_path / "c.tif"),
    ]
    write_dicom(tmp_path / "disc" / "DICOMDIR")
    write_jpeg(tmp_path / "._a.jpg")
    write_png(tmp_path / ".cache" / "a.png")
    (tmp_path / "notes.txt").write_text("no film")
    (tmp_path / "folder.png").mkdir()
    assert find_films(tmp_path) == sorted(expected)


@pytest.mark.parametrize(
    ("name", "stem"),
    [("a.png", "a"), ("a.b.DCM", "a.b"), ("1.2.840.5", "1.2.840.5"), ("IM01", "IM01")],
)
def test_only_a_known_ending_is_cut_off(name, stem):
    assert film_stem(name) == stem


def test_a_name_in_another_encoding_becomes_readable_text():
    assert readable_name(os.fsdecode(b"R\xf6ntgen.png")) == "R\\xf6ntgen.png"
    assert readable_name("Röntgen.png") == "Röntgen.png"
