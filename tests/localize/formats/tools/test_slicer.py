from __future__ import annotations

import json

import numpy as np
import pytest

from data_manifests.support.errors import DataError
from localize.formats.export import export
from localize.formats.hub.format_options import FormatOptions
from tests.localize.formats.dicom_films import write_dicom_film
from tests.localize.formats.films import make_annotations, make_film, paired_iou, random_films

POINT = {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}
# What Slicer's markups-schema-v1.0.3.json asks of an ROI, in our words.
SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema",
    "type": "object",
    "required": ["@schema", "markups"],
    "properties": {
        "@schema": {"type": "string", "pattern": r"markups-schema-v1\.0\.3\.json#$"},
        "markups": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "center", "size", "orientation", "roiType"],
                "properties": {
                    "type": {"const": "ROI"},
                    "roiType": {"enum": ["Box", "BoundingBox"]},
                    "name": {"type": "string"},
                    "coordinateSystem": {"enum": ["LPS", "RAS"]},
                    "coordinateUnits": {"enum": ["mm", "um"]},
                    "locked": {"type": "boolean"},
                    "center": POINT,
                    "size": POINT,
                    "orientation": {**POINT, "minItems": 9, "maxItems": 9},
                    "controlPoints": {
                        "type": "array",
                        "items": {"properties": {"id": {"type": "string"}, "position": POINT}},
                    },
                },
            },
        },
    },
}


def read_slicer_boxes(path, column_mm, row_mm):
    """The boxes of one markups file in pixels, (N, 4): the inverse of the writer."""
    boxes = []
    for markup in json.loads(path.read_text())["markups"]:
        centre, size = np.array(markup["center"]), np.array(markup["size"])
        low, high = (centre - size / 2)[:2], (centre + size / 2)[:2]
        mm = np.array([column_mm, row_mm])
        boxes.append([*(low / mm + 0.5), *(high / mm + 0.5)])
    return np.array(boxes).reshape(-1, 4)


def test_markups_fit_the_schema_and_lie_in_millimetres(tmp_path):
    jsonschema = pytest.importorskip("jsonschema")
    films = [make_film("w/a.png"), make_film("b.png", boxes=())]
    export(
        make_annotations(*films), "slicer", tmp_path / "out", options=FormatOptions(spacing_mm=0.5)
    )
    content = json.loads((tmp_path / "out" / "w" / "a.mrk.json").read_text())
    jsonschema.validate(content, SCHEMA)
    # Box 10,20,110,220 of half-millimetre pixels; the first pixel's centre is the origin.
    assert content["markups"][0]["center"] == [29.75, 59.75, 0.0]
    assert content["markups"][0]["size"] == [50, 100, 1]
    empty = json.loads((tmp_path / "out" / "b.mrk.json").read_text())
    jsonschema.validate(empty, SCHEMA)
    assert empty["markups"] == []


def test_the_spacing_of_a_dicom_film_is_its_own(tmp_path):
    write_dicom_film(tmp_path / "films" / "a.dcm")
    options = FormatOptions(image_root=tmp_path / "films", spacing_mm=9.0)
    export(make_annotations(make_film("a.dcm")), "slicer", tmp_path / "out", options=options)
    box = json.loads((tmp_path / "out" / "a.mrk.json").read_text())["markups"][0]
    assert box["size"][:2] == [100 * 0.25, 200 * 0.2]  # rows are 0.2 mm apart, columns 0.25


@pytest.mark.parametrize("spacing", [None, 0.0, -1.0])
def test_without_a_pixel_size_nothing_is_written(tmp_path, spacing):
    options = FormatOptions(spacing_mm=spacing)
    with pytest.raises(DataError, match="--spacing-mm"):
        export(make_annotations(make_film()), "slicer", tmp_path / "out", options=options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_ten_thousand_boxes_come_back_from_millimetres(tmp_path):
    films = random_films()
    export(
        make_annotations(*films), "slicer", tmp_path / "out", options=FormatOptions(spacing_mm=0.14)
    )
    for film in films:
        path = tmp_path / "out" / film.name.replace(".png", ".mrk.json")
        back = read_slicer_boxes(path, 0.14, 0.14)
        assert paired_iou(back, film.xyxy).min() >= 0.999
        np.testing.assert_allclose(back, film.xyxy, atol=1e-6)
