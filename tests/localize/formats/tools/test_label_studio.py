from __future__ import annotations

import json

import numpy as np
import pytest

from data_manifests.support.errors import DataError
from localize.formats.hub.format_options import FormatOptions
from localize.formats.tools.label_studio import (
    labeling_config,
    read_label_studio,
    write_label_studio,
)
from tests.localize.formats.films import HOSTILE_NAMES, make_annotations, make_film

TWO = ((10.0, 20.0, 110.0, 220.0), (0.0, 0.0, 512.0, 640.0))


def tasks_of(tmp_path, *films, **options):
    write_label_studio(make_annotations(*films), tmp_path / "tasks.json", FormatOptions(**options))
    return json.loads((tmp_path / "tasks.json").read_text())


def as_exported(tasks, **annotation):
    """What Label Studio exports once every prediction was submitted as an annotation."""
    for task in tasks:
        result = task["predictions"][0]["result"]
        task["annotations"] = [{"result": result, "was_cancelled": False, **annotation}]
    return tasks


def test_boxes_are_percent_of_the_film_from_the_top_left(tmp_path):
    region = tasks_of(tmp_path, make_film())[0]["predictions"][0]["result"][0]
    assert region["value"]["x"] == pytest.approx(100 * 10 / 512)
    assert region["value"]["height"] == pytest.approx(100 * 200 / 640)
    assert (region["original_width"], region["original_height"]) == (512, 640)
    assert region["image_rotation"] == region["value"]["rotation"] == 0


def test_all_boxes_of_a_film_are_in_one_prediction(tmp_path):
    tasks = tasks_of(tmp_path, make_film(boxes=TWO), make_film("b.png", boxes=()))
    assert [len(task["predictions"]) for task in tasks] == [1, 1]
    kinds = [region["type"] for region in tasks[0]["predictions"][0]["result"]]
    assert kinds.count("rectanglelabels") == 2
    assert tasks[0]["predictions"][0]["model_version"] == "bundle-1"
    assert tasks[0]["predictions"][0]["score"] == 0.75


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_images_are_urls_whatever_the_name(tmp_path, name):
    task = tasks_of(tmp_path, make_film(name), image_url="/data/local-files/?d=films/")[0]
    url = task["data"]["image"]
    assert url.startswith("/data/local-files/?d=films/")
    assert not set(url[len("/data/local-files/?d=") :]) & set("<>\"' ?#&\n\\")


def test_label_studio_accepts_the_predictions_and_the_configuration(tmp_path):
    interface = pytest.importorskip("label_studio_sdk.label_interface")
    films = [make_film(boxes=TWO), make_film("b.png", boxes=(), severity=None)]
    tasks = tasks_of(tmp_path, *films)
    label_interface = interface.LabelInterface((tmp_path / "tasks.config.xml").read_text())
    for task in tasks:
        assert label_interface.validate_prediction(task["predictions"][0], return_errors=True) == []
    wrong = json.loads(json.dumps(tasks[0]["predictions"][0]))
    wrong["result"][0]["value"]["rectanglelabels"] = ["another"]
    assert label_interface.validate_prediction(wrong, return_errors=True) != []


def test_labels_cannot_break_out_of_the_configuration():
    interface = pytest.importorskip("label_studio_sdk.label_interface")
    label = '"/><script>alert("&\x00")</script>'
    film = make_film(labels=(label,))
    config = labeling_config(make_annotations(film))
    assert "<script" not in config
    assert next(iter(interface.LabelInterface(config).get_control("label").labels)).startswith(
        '"/><sc'
    )


def test_what_comes_back_is_what_went_out(tmp_path):
    film = make_film("ward 1/left & right.png", boxes=TWO)
    (tmp_path / "x.json").write_text(
        json.dumps(as_exported(tasks_of(tmp_path, film), completed_by={"id": 7, "email": "a@b.c"}))
    )
    back = read_label_studio(tmp_path / "x.json")[0]
    assert back.name == film.name
    np.testing.assert_allclose(back.xyxy, film.xyxy, atol=1e-9)
    np.testing.assert_allclose(back.scores, film.scores)
    assert back.labels == film.labels
    assert back.keywords == film.keywords
    assert back.severity == 3.5
    assert back.annotators == ("label-studio-7", "label-studio-7")


def test_the_newest_annotation_counts_and_untouched_tasks_do_not(tmp_path):
    tasks = tasks_of(tmp_path, make_film("a.png"), make_film("b.png"))
    region = tasks[0]["predictions"][0]["result"][0]
    moved = json.loads(json.dumps(region))
    moved["value"]["x"] = 50
    tasks[0]["annotations"] = [
        {"result": [moved], "updated_at": "2026-02-01"},
        {"result": [region], "updated_at": "2026-01-01"},
        {"result": [], "updated_at": "2026-03-01", "was_cancelled": True},
    ]
    (tmp_path / "x.json").write_text(json.dumps(tasks))
    films = read_label_studio(tmp_path / "x.json")
    assert [film.name for film in films] == ["a.png"]
    assert films[0].xyxy[0, 0] == 256


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({"image": "/data/local-files/?d=films%2Fa%20b.png"}, "films/a b.png"),
        ({"image": "/data/upload/3/0a1b2c3d-a-b.png"}, "a-b.png"),
        ({"image": "https://host/x/a%20b.png?v=1"}, "x/a b.png"),
        ({"image": "s3://bucket/x/a.png", "film": "a.png"}, "a.png"),
    ],
)
def test_the_film_is_found_from_the_task(tmp_path, data, name):
    task = {"data": data, "annotations": [{"result": []}]}
    (tmp_path / "x.json").write_text(json.dumps([task]))
    assert read_label_studio(tmp_path / "x.json")[0].name == name


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"value": {"x": 1, "y": 1, "width": 5, "height": 5, "rotation": 30}}, "upright"),
        ({"type": "polygonlabels"}, "rectanglelabels"),
        ({"original_width": None}, "original_width"),
        ({"value": {"x": "1"}}, r"value\.x"),
    ],
)
def test_shapes_that_are_no_upright_boxes_are_refused_with_their_task(tmp_path, change, expected):
    tasks = as_exported(tasks_of(tmp_path, make_film()))
    tasks[0]["annotations"][0]["result"][0].update(change)
    (tmp_path / "x.json").write_text(json.dumps(tasks))
    with pytest.raises(DataError, match=rf"task\[0\].*{expected}|{expected}.*task\[0\]"):
        read_label_studio(tmp_path / "x.json")
