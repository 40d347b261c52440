"""Work of several persons goes out and comes back with authors, scores and words."""

from __future__ import annotations

import numpy as np
import pytest

from data_manifests.tables.manifest import make_manifest
from localize.formats.export import export
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.from_tables import annotations_from_manifest
from localize.formats.import_boxes import import_boxes
from localize.formats.registry import read_annotations
from tests.localize.formats.films import make_annotations, make_film
from tests.localize.predictions import make_truth

FORMATS = {"coco": "a.json", "cvat": "a.xml", "voc": "out", "labelme": "out", "via": "a.json"}
ALL_FORMATS = {**FORMATS, "label-studio": "a.json"}
BOXES = ((10.0, 20.0, 110.0, 220.0), (50.0, 60.0, 90.0, 100.0), (5.0, 6.0, 70.0, 80.0))


def round_trip(tmp_path, name, annotations, manifest):
    films = tmp_path / "films"
    films.mkdir(exist_ok=True)
    for film in annotations:
        (films / film.name).write_bytes(b"film")
    target = tmp_path / ALL_FORMATS[name]
    options = FormatOptions(image_root=films, voc_floats=True)
    export(annotations, name, target, options=options)
    return read_annotations(target, name, manifest)


@pytest.mark.parametrize("name", ALL_FORMATS)
def test_boxes_of_two_annotators_come_back_into_a_manifest(tmp_path, name):
    truth = make_truth(["a", "b"], [("a", *BOXES[0]), ("a", *BOXES[1]), ("b", *BOXES[2])])
    boxes = truth.boxes.assign(annotator=["anna", "ben", "anna"])
    manifest = make_manifest(truth.images, boxes)
    films = round_trip(tmp_path, name, annotations_from_manifest(manifest), manifest)
    back = import_boxes(films, make_manifest(truth.images)).boxes
    columns = ["image_id", "annotator", "x1", "y1", "x2", "y2", "label"]
    found = back[columns].sort_values(columns).to_numpy().tolist()
    expected = boxes[columns].sort_values(columns).to_numpy().tolist()
    for got, wanted in zip(found, expected, strict=True):
        assert got[:2] == wanted[:2]
        np.testing.assert_allclose(got[2:6], wanted[2:6], atol=1e-4)


@pytest.mark.parametrize("name", FORMATS)
def test_a_reviewed_film_comes_back_with_untouched_scores_and_its_reviewer(tmp_path, name):
    film = make_film(
        "a.png",
        BOXES,
        scores=np.array([0.9, np.nan, 0.4]),
        annotators=("", "ben", "anna"),  # the third was confirmed
        annotator="anna",
    )
    negative = make_film("b.png", (), annotator="anna")
    annotations = make_annotations(film, negative)
    back = round_trip(tmp_path, name, annotations, make_truth(["a", "b"]))
    first, second = sorted(back, key=lambda one: one.name)
    assert (first.annotator, second.annotator, len(second)) == ("anna", "anna", 0)
    assert [box.annotator for box in first.boxes] == ["", "ben", "anna"]
    np.testing.assert_allclose(first.scores, [0.9, np.nan, 0.4])
    assert first.keywords == film.keywords
