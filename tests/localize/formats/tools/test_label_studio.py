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


def test_films_can_be_made_brighter_and_zoomed():
    config = labeling_config(make_annotations(make_film()))
    for control in ("zoomControl", "brightnessControl", "contrastControl"):
        assert f'{control}="true"' in config


def corrected(**known):
    """A model's box that nobody changed beside one that anna drew and one of ben's."""
    boxes = ((10.0, 20.0, 110.0, 220.0), (50.0, 60.0, 90.0, 100.0), (5.0, 6.0, 70.0, 80.0))
    return make_film(
        boxes=boxes,
        scores=np.array([0.9, np.nan, np.nan]),
        annotators=("", "anna", "ben"),
        **known,
    )


def test_corrections_are_annotations_of_their_authors(tmp_path):
    (task,) = tasks_of(tmp_path, corrected())
    assert "predictions" not in task
    assert [row["annotator"] for row in task["annotations"]] == ["anna", "ben"]
    regions = [r for r in task["annotations"][0]["result"] if r["type"] == "rectanglelabels"]
    assert [region.get("score") for region in regions] == [0.9, None]
    assert [region["origin"] for region in regions] == ["prediction", "manual"]


def test_corrections_of_two_authors_come_back_with_scores_and_words(tmp_path):
    film = corrected()
    write_label_studio(make_annotations(film), tmp_path / "tasks.json", FormatOptions())
    anna, ben = read_label_studio(tmp_path / "tasks.json")
    assert (anna.annotator, ben.annotator) == ("anna", "ben")
    np.testing.assert_allclose(anna.xyxy, film.xyxy[[0, 1]])
    np.testing.assert_allclose(ben.xyxy, film.xyxy[[0, 2]])
    assert [box.annotator for box in anna.boxes] == ["", "anna"]
    np.testing.assert_array_equal(ben.scores, [0.9, np.nan])
    assert anna.keywords == film.keywords[:2]


def test_true_boxes_are_annotations_without_a_score(tmp_path):
    film = make_film(scores=np.array([np.nan]), p_pneumonia=None, severity=None)
    (task,) = tasks_of(tmp_path, film)
    assert "predictions" not in task
    assert "score" not in task["annotations"][0]["result"][0]


def test_two_users_of_a_task_are_two_films_each_with_its_newest_annotation(tmp_path):
    tasks = tasks_of(tmp_path, make_film("a.png"))
    region = tasks[0]["predictions"][0]["result"][0]
    moved = {**region, "origin": "prediction-changed", "value": {**region["value"], "x": 50}}
    tasks[0]["annotations"] = [
        {"result": [moved], "updated_at": "2026-02-01", "completed_by": 1},
        {"result": [region], "updated_at": "2026-01-01", "completed_by": 1},
        {"result": [], "updated_at": "2026-01-01", "completed_by": {"id": 2}},
    ]
    (tmp_path / "x.json").write_text(json.dumps(tasks))
    first, second = sorted(read_label_studio(tmp_path / "x.json"), key=len, reverse=True)
    assert (first.annotator, second.annotator) == ("label-studio-1", "label-studio-2")
    assert (first.xyxy[0, 0], len(second)) == (256, 0)
    # A changed box is the person's: the model's score is not its score.
    assert (first.annotators, np.isnan(first.scores).all()) == (("label-studio-1",), True)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([{"data": {"image": "a.png"}, "predictions": [{"result": []}]}], "none in 1 tasks"),
        ([], "none in 0 tasks"),
        ([{"image": "/a.png", "id": 1, "label": [], "annotator": 1}], "JSON-MIN"),
    ],
)
def test_an_export_without_annotations_is_an_error(tmp_path, content, expected):
    (tmp_path / "x.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=expected):
        read_label_studio(tmp_path / "x.json")
