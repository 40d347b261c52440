from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from PIL import Image

from localize.formats.export import export
from localize.formats.hub.format_options import FormatOptions
from localize.formats.import_boxes import import_boxes
from localize.formats.registry import read_annotations
from tests.localize.formats.dicom.encodings import HEIGHT, WIDTH, correlation, levels, write_encoded
from tests.localize.formats.films import make_annotations, make_film
from tests.localize.predictions import make_truth

BOX = (10.0, 20.0, 40.0, 60.0)


def films_of(tmp_path):
    """A DICOM film with and one without ending, and a PNG film."""
    write_encoded(tmp_path / "films" / "ward" / "a.dcm", "window")
    write_encoded(tmp_path / "films" / "IM000001", "inverted window")
    Image.new("L", (WIDTH, HEIGHT)).save(tmp_path / "films" / "c.png")
    names = ("ward/a.dcm", "IM000001", "c.png")
    return make_annotations(
        *(make_film(name, (BOX,), width=WIDTH, height=HEIGHT, image_id="") for name in names)
    )


def test_dicom_films_get_png_copies_and_their_names(tmp_path):
    options = FormatOptions(image_root=tmp_path / "films", png_films=tmp_path / "png")
    export(films_of(tmp_path), "coco", tmp_path / "a.json", options=options)
    names = [row["file_name"] for row in json.loads((tmp_path / "a.json").read_text())["images"]]
    assert names == ["ward/a.png", "IM000001.png", "c.png"]
    written = {p.relative_to(tmp_path / "png").as_posix() for p in tmp_path.glob("png/**/*.png")}
    assert written == {"ward/a.png", "IM000001.png"}
    copy = np.asarray(Image.open(tmp_path / "png" / "ward" / "a.png"))
    assert copy.dtype == np.uint8
    assert correlation(copy, levels()) > 0.99
    inverted = np.asarray(Image.open(tmp_path / "png" / "IM000001.png"))
    assert correlation(inverted, levels()) < -0.99, "a film of MONOCHROME1 is shown upright"


def test_boxes_on_the_png_copies_come_back_to_the_dicom_films(tmp_path):
    options = FormatOptions(image_root=tmp_path / "films", png_films=tmp_path / "png")
    export(films_of(tmp_path), "cvat", tmp_path / "a.xml", options=options)
    manifest = make_truth(["1", "2", "3"])
    images = manifest.images.assign(
        path=["ward/a.dcm", "IM000001", "c.png"], width=WIDTH, height=HEIGHT
    )
    manifest = type(manifest)(
        images, manifest.boxes, manifest.reports, manifest.labels, manifest.info, tmp_path
    )
    films = read_annotations(tmp_path / "a.xml", "cvat", manifest)
    assert import_boxes(films, manifest).boxes["image_id"].tolist() == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("name", "target", "is_warned"),
    [("label-studio", "a.json", True), ("yolo", "out", True), ("rsna-csv", "a.csv", False)],
)
def test_tools_without_dicom_are_warned_of(tmp_path, caplog, name, target, is_warned):
    options = FormatOptions(image_root=tmp_path / "films")
    with caplog.at_level(logging.WARNING):
        export(films_of(tmp_path), name, tmp_path / target, options=options)
    assert ("--png-films" in caplog.text) == is_warned


def test_films_that_every_tool_opens_need_no_warning(tmp_path, caplog):
    export(make_annotations(make_film()), "yolo", tmp_path / "out")
    assert caplog.text == ""
