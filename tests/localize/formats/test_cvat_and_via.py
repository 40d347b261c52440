"""What only CVAT and VIA trip over."""

from __future__ import annotations

import csv
import json
import zipfile

import pytest

from data_manifests.support.errors import DataError
from localize.formats.export import export
from localize.formats.hub.format_options import FormatOptions
from localize.formats.tools.cvat import read_cvat
from localize.formats.tools.via import COLUMNS, read_via
from tests.localize.formats.films import make_annotations, make_film


def cvat_text(tmp_path, *films):
    export(make_annotations(*films), "cvat", tmp_path / "a.xml")
    return (tmp_path / "a.xml").read_text()


def test_cvat_names_keep_folders_and_dots(tmp_path):
    text = cvat_text(tmp_path, make_film("ward 1/1.2.840.113.png"), make_film("1.2.840.114"))
    assert 'name="ward 1/1.2.840.113.png" width="512" height="640"' in text
    assert 'name="1.2.840.114"' in text


def test_cvat_reads_a_zip_as_it_reads_the_file(tmp_path):
    cvat_text(tmp_path, make_film("w/a.png"))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.xml", "task_1/annotations.xml")
    film = read_cvat(tmp_path / "a.zip")[0]
    assert (film.name, film.severity, film.p_pneumonia) == ("w/a.png", 3.5, 0.75)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("other.xml", "")
    with pytest.raises(DataError, match=r"one annotations\.xml"):
        read_cvat(tmp_path / "b.zip")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("<box ", '<box rotation="12" ', "upright"),
        ('xtl="10.000000"', 'xtl="ten"', "finite number"),
        ("<box ", "<polygon ", "box"),
        ("</annotations>", "", "CVAT for images"),
        ("<annotations>", '<!DOCTYPE a [<!ENTITY x "y">]><annotations>', "DTD"),
    ],
    ids=["rotated", "no number", "polygon", "cut off", "entities"],
)
def test_cvat_faults_are_named(tmp_path, old, new, expected):
    text = cvat_text(tmp_path, make_film()).replace(old, new)
    if "polygon" in new:
        text = text.replace("</box>", "</polygon>")
    (tmp_path / "b.xml").write_text(text)
    with pytest.raises(DataError, match=expected):
        read_cvat(tmp_path / "b.xml")


def test_cvat_says_who_was_assigned(tmp_path):
    text = cvat_text(tmp_path, make_film()).replace(
        "<task>", "<task><assignee><username>anna</username></assignee>"
    )
    (tmp_path / "b.xml").write_text(text)
    assert read_cvat(tmp_path / "b.xml")[0].annotators == ("anna",)


def via_export(tmp_path, name="w/a.png", boxes=((1.0, 2.0, 30.0, 40.0),), target="v.csv"):
    path = tmp_path / "films" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"1234567")
    films = make_annotations(make_film(name, boxes))
    options = FormatOptions(image_root=tmp_path / "films")
    export(films, "via", tmp_path / target, options=options)
    return tmp_path / target


def test_via_rows_have_seven_columns_and_the_size_of_the_file(tmp_path):
    rows = list(csv.reader(via_export(tmp_path).open()))
    assert tuple(rows[0]) == COLUMNS
    assert rows[1][:2] == ["a.png", "7"]
    shape = json.loads(rows[1][5])
    assert shape == {"name": "rect", "x": 1, "y": 2, "width": 29, "height": 38}
    assert '""name""' in via_export(tmp_path).read_text()


def test_via_negatives_have_an_empty_region(tmp_path):
    rows = list(csv.reader(via_export(tmp_path, boxes=()).open()))
    assert rows[1][3:] == ["0", "0", "{}", "{}"]


def test_via_json_keys_are_name_and_size(tmp_path):
    content = json.loads(via_export(tmp_path, target="v.json").read_text())
    assert list(content) == ["a.png7"]
    assert read_via(tmp_path / "v.json")[0].severity == 3.5


def test_via_without_the_film_is_refused(tmp_path):
    with pytest.raises(DataError, match="--image-root"):
        export(make_annotations(make_film("no.png")), "via", tmp_path / "v.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('a.png,7,"{}",1,0,"{}"', "7 columns"),
        ('a.png,7,"{}",1,0,"[1]","{}"', "JSON object"),
        ('a.png,7,"{}",1,0,"{""name"":""polygon""}","{}"', "rect"),
        ('a.png,7,"{}",1,0,"{""name"":""rect"",""x"":1}","{}"', "finite number"),
    ],
)
def test_via_faults_are_named_with_their_row(tmp_path, line, expected):
    (tmp_path / "v.csv").write_text(",".join(COLUMNS) + "\n" + line + "\n")
    with pytest.raises(DataError, match=expected) as error:
        read_via(tmp_path / "v.csv")
    assert "row 2" in str(error.value)


def test_via_accepts_the_header_with_a_hash(tmp_path):
    text = via_export(tmp_path).read_text().replace("filename,", "#filename,", 1)
    (tmp_path / "v.csv").write_text(text)
    assert len(read_via(tmp_path / "v.csv")[0]) == 1
