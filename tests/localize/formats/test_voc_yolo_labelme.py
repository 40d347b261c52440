"""What only VOC, YOLO and LabelMe trip over."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
import yaml

from data_manifests.support.errors import DataError
from localize.formats.export import export
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.writing import whole_corners
from localize.formats.tools.labelme import read_labelme
from localize.formats.tools.voc import read_voc
from localize.formats.tools.yolo import read_yolo
from tests.localize.formats.films import make_annotations, make_film

FRACTIONS = ((10.5, 20.25, 40.5, 60.25),)


def size_of(name):
    return 512, 640


def write(tmp_path, name, *films, **options):
    export(make_annotations(*films), name, tmp_path / "out", options=FormatOptions(**options))
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["10", "20", "40", "60"]),
        ({"voc_one_based": True}, ["11", "21", "40", "60"]),
        ({"voc_floats": True}, ["10.5", "20.25", "40.5", "60.25"]),
    ],
    ids=["whole corners from 0", "inclusive pixels from 1", "as they are"],
)
def test_voc_corners(tmp_path, options, expected):
    folder = write(tmp_path, "voc", make_film(boxes=FRACTIONS), **options)
    root = ElementTree.parse(folder / "Annotations" / "film.xml").getroot()  # noqa: S314 - our own
    assert [side.text for side in root.find("object/bndbox")] == expected
    assert root.findtext("filename") == "film.png"
    assert [side.text for side in root.find("size")] == ["512", "640", "1"]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((10.5, 20.25, 40.5, 60.25), [10, 20, 40, 60]),
        ((10.1, 10.1, 10.4, 11.9), [10, 10, 11, 12]),
        ((511.6, 0, 512.0, 1), [511, 0, 512, 1]),
        ((511.2, 0, 511.4, 1), [511, 0, 512, 1]),
        ((9.6, 0, 10.4, 1), [9, 0, 10, 1]),
    ],
)
def test_a_thin_box_keeps_a_pixel_inside_the_film(box, expected):
    assert whole_corners(list(box)) == expected


def test_voc_negatives_have_no_object_and_names_are_listed(tmp_path):
    folder = write(tmp_path, "voc", make_film("w/none.png", boxes=()))
    assert "<object>" not in (folder / "Annotations" / "w" / "none.xml").read_text()
    assert (folder / "ImageSets" / "Main" / "default.txt").read_text() == "w/none\n"
    assert "pneumonia:::" in (folder / "labelmap.txt").read_text()


def test_dots_of_uids_can_be_replaced_in_voc_with_the_file_name(tmp_path):
    folder = write(tmp_path, "voc", make_film("1.2.840.dcm"), replace_dots=True)
    assert read_voc(folder)[0].name == "1_2_840.dcm"
    assert (folder / "Annotations" / "1_2_840.xml").is_file()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("<xmin>10</xmin>", "<xmin>x</xmin>", "finite number"),
        ("<xmin>10</xmin>", "", "xmin"),
        ("<annotation>", '<!DOCTYPE a [<!ENTITY b "c">]><annotation>', "DTD"),
        ("</annotation>", "", "Pascal VOC XML"),
    ],
)
def test_voc_faults_are_named_with_their_file(tmp_path, old, new, expected):
    folder = write(tmp_path, "voc", make_film(boxes=FRACTIONS))
    path = folder / "Annotations" / "film.xml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=expected) as error:
        read_voc(folder)
    assert "film.xml" in str(error.value)


def test_yolo_lines_are_shares_with_classes_from_zero(tmp_path):
    films = [make_film("a.png"), make_film("b.png", boxes=())]
    folder = write(tmp_path, "yolo", *films)
    cells = (folder / "labels" / "a.txt").read_text().split()
    assert cells[0] == "0"
    assert [float(cell) for cell in cells[1:]] == pytest.approx(
        [60 / 512, 120 / 640, 100 / 512, 200 / 640]
    )
    assert (folder / "labels" / "b.txt").read_text() == ""
    assert yaml.safe_load((folder / "data.yaml").read_text())["names"] == {0: "pneumonia"}


def test_yolo_confidence_is_a_sixth_column_only_when_asked(tmp_path):
    folder = write(tmp_path, "yolo", make_film(), yolo_confidence=True)
    assert (folder / "labels" / "film.txt").read_text().split()[5] == "0.9"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0 0.5 0.5 0.1", "columns"),
        ("1 0.5 0.5 0.1 0.1", "below 1"),
        ("0 0.5 0.5 0.1 nan", "finite"),
        ("0 0.5 0.5 0.1 x", "numbers"),
        ("-1 0.5 0.5 0.1 0.1", "below 1"),
    ],
)
def test_yolo_faults_are_named_with_file_and_line(tmp_path, line, expected):
    folder = write(tmp_path, "yolo", make_film())
    (folder / "labels" / "film.txt").write_text(f"0 0.5 0.5 0.1 0.1\n{line}\n")
    with pytest.raises(DataError, match=expected) as error:
        read_yolo(folder, size_of)
    assert "film.txt row 2" in str(error.value)


@pytest.mark.parametrize(
    "content", ["names: !!python/object/apply:os.system ['true']", "names: 3", "{", "names: {1: a}"]
)
def test_yolo_class_names_run_no_code_and_must_be_names(tmp_path, content):
    folder = write(tmp_path, "yolo", make_film())
    (folder / "data.yaml").write_text(content)
    with pytest.raises(DataError, match="names"):
        read_yolo(folder, size_of)


def test_labelme_files_have_the_keys_that_labelme_asks_for(tmp_path):
    jsonschema = pytest.importorskip("jsonschema")
    folder = write(tmp_path, "labelme", make_film("w/a.png"), make_film("b.png", boxes=()))
    schema = {
        "type": "object",
        "required": ["version", "flags", "shapes", "imagePath", "imageData"],
        "properties": {
            "version": {"type": "string"},
            "flags": {"additionalProperties": {"type": "boolean"}},
            "imagePath": {"type": "string", "pattern": "^[^/]"},
            "imageData": {"type": "null"},
            "imageHeight": {"type": "integer"},
            "imageWidth": {"type": "integer"},
            "shapes": {
                "items": {
                    "required": ["label", "points", "shape_type", "flags", "description"],
                    "properties": {
                        "shape_type": {"const": "rectangle"},
                        "points": {"minItems": 2, "maxItems": 2},
                        "flags": {"additionalProperties": {"type": "boolean"}},
                        "description": {"type": "string"},
                        "group_id": {"type": "null"},
                    },
                }
            },
        },
    }
    for path in (folder / "w" / "a.json", folder / "b.json"):
        jsonschema.validate(json.loads(path.read_text()), schema)
    assert json.loads((folder / "w" / "a.json").read_text())["imagePath"] == "a.png"


def test_a_labelme_rectangle_may_be_drawn_from_any_corner(tmp_path):
    folder = write(tmp_path, "labelme", make_film())
    path = folder / "film.json"
    content = json.loads(path.read_text())
    content["shapes"][0]["points"] = [[110, 20], [10, 220]]
    path.write_text(json.dumps(content))
    assert read_labelme(folder)[0].xyxy.tolist() == [[10, 20, 110, 220]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"shape_type": "polygon"}, "rectangle"),
        ({"points": [[1, 2]]}, "two points"),
        ({"points": [[1, 2], ["3", 4]]}, "finite number"),
        ({"label": 3}, "a label"),
    ],
)
def test_labelme_faults_are_named_with_their_file(tmp_path, change, expected):
    folder = write(tmp_path, "labelme", make_film())
    content = json.loads((folder / "film.json").read_text())
    content["shapes"][0].update(change)
    (folder / "film.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=expected) as error:
        read_labelme(folder)
    assert "film.json" in str(error.value)
