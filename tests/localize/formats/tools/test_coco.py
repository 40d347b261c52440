from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest

from data_manifests.support.errors import DataError
from localize.formats.hub.format_options import FormatOptions
from localize.formats.tools.coco import read_coco, write_coco, write_coco_results, write_v7_coco
from tests.localize.formats.films import make_annotations, make_film, random_films

OPTIONS = FormatOptions()


def load(path):
    return json.loads(path.read_text())


def test_ids_start_at_one_and_every_required_key_is_there(tmp_path):
    negative = make_film("negative.png", boxes=())
    write_coco(make_annotations(make_film(), negative), tmp_path / "a.json", OPTIONS)
    content = load(tmp_path / "a.json")
    assert {"info", "licenses", "images", "annotations", "categories"} <= set(content)
    assert [row["id"] for row in content["annotations"]] == [1]
    assert [row["id"] for row in content["categories"]] == [1]
    assert [row["file_name"] for row in content["images"]] == ["film.png", "negative.png"]
    annotation = content["annotations"][0]
    assert annotation["bbox"] == [10, 20, 100, 200]
    assert annotation["area"] == 20000
    assert annotation["iscrowd"] == 0
    assert annotation["segmentation"] == [[10, 20, 110, 20, 110, 220, 10, 220]]
    assert annotation["attributes"] == {"left": True, "lower": True}


def test_the_segmentation_can_be_empty_but_never_absent(tmp_path):
    write_coco(
        make_annotations(make_film()), tmp_path / "a.json", FormatOptions(coco_polygon=False)
    )
    assert load(tmp_path / "a.json")["annotations"][0]["segmentation"] == []


def test_v7_gets_rounded_pixels_and_no_key_of_ours(tmp_path):
    film = make_film(boxes=[(10.6, 20.4, 10.9, 60.5)])
    write_v7_coco(make_annotations(film), tmp_path / "a.json", OPTIONS)
    content = load(tmp_path / "a.json")
    row = content["annotations"][0]
    # V7 truncates; a box thinner than a pixel keeps one.
    assert row["bbox"] == [10, 20, 1, 40]
    assert row["segmentation"] == [[10, 20, 11, 20, 11, 60, 10, 60]]
    assert not {"score", "attributes"} & set(row)
    assert set(content["images"][0]) == {"id", "file_name", "width", "height"}


def test_pycocotools_finds_a_perfect_prediction_perfect(tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    annotations = make_annotations(*random_films(40, per_film=2))
    write_coco(annotations, tmp_path / "truth.json", OPTIONS)
    write_coco_results(annotations, tmp_path / "results.json", OPTIONS)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO(str(tmp_path / "truth.json"))
        evaluator = COCOeval(truth, truth.loadRes(str(tmp_path / "results.json")), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    assert evaluator.stats[0] == pytest.approx(1.0)


def test_results_without_boxes_are_an_empty_list(tmp_path):
    write_coco_results(make_annotations(make_film(boxes=())), tmp_path / "results.json", OPTIONS)
    assert load(tmp_path / "results.json") == []


def test_true_boxes_without_scores_are_no_results_and_nothing_is_written(tmp_path):
    film = make_film(scores=np.array([np.nan]))
    with pytest.raises(DataError, match="score"):
        write_coco_results(make_annotations(film), tmp_path / "results.json", OPTIONS)
    assert list(tmp_path.iterdir()) == []


def test_image_ids_can_be_those_of_another_file(tmp_path):
    given = tmp_path / "given.json"
    given.write_text(json.dumps({"images": [{"id": 77, "file_name": "film.png"}]}))
    options = FormatOptions(coco_images=given)
    write_coco_results(make_annotations(make_film()), tmp_path / "r.json", options)
    assert load(tmp_path / "r.json")[0]["image_id"] == 77
    with pytest.raises(DataError, match=r"other\.png"):
        write_coco_results(make_annotations(make_film("other.png")), tmp_path / "x.json", options)


def test_datumaro_reads_boxes_scores_attributes_and_negatives(tmp_path):
    datumaro = pytest.importorskip("datumaro")
    from datumaro.components.annotation import AnnotationType

    (tmp_path / "images").mkdir()
    folder = tmp_path / "annotations"
    films = [make_film("a.png"), make_film("b.png", boxes=())]
    write_coco(make_annotations(*films), folder / "instances_default.json", OPTIONS)
    dataset = datumaro.Dataset.import_from(str(tmp_path), "coco_instances")
    items = {item.id: item for item in dataset}
    assert set(items) == {"a", "b"}
    labels = dataset.categories()[AnnotationType.label]
    found = items["a"].annotations[0]
    assert labels[found.label].name == "pneumonia"
    assert found.get_bbox() == [10, 20, 100, 200]
    assert found.attributes["score"] == pytest.approx(0.9)
    assert found.attributes["left"] is True


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"bbox": [1, 2, 0, 5]}, "width and height above 0"),
        ({"bbox": [1, 2, "3", 5]}, "finite number"),
        ({"category_id": 9}, "category_id"),
        ({"image_id": 9}, "an image of the file"),
        ({"bbox": None}, "bbox"),
    ],
)
def test_faults_of_a_file_are_named_with_their_place(tmp_path, change, expected):
    write_coco(make_annotations(make_film()), tmp_path / "a.json", OPTIONS)
    content = load(tmp_path / "a.json")
    content["annotations"][0].update(change)
    content["annotations"].append({})
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=expected) as error:
        read_coco(tmp_path / "a.json")
    assert len(error.value.problems) == 2
    assert "annotations[0]" in str(error.value)


@pytest.mark.parametrize("content", ["", "[]", '{"images": 3}', "[" * 100_000, '{"images": [NaN]}'])
def test_what_is_no_coco_file_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError, match=r"a\.json"):
        read_coco(tmp_path / "a.json")
