"""Readers and writers of others: what we write is read right, and comes back through them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import json
import shutil
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from localize.formats.export import export
from localize.formats.hub.format_options import FormatOptions
from localize.formats.tools.coco import read_coco
from localize.formats.tools.cvat import read_cvat
from localize.formats.tools.labelme import read_labelme
from localize.formats.tools.via import read_via
from localize.formats.tools.voc import read_voc
from localize.formats.tools.yolo import read_yolo
from tests.localize.formats.films import make_annotations, make_film, paired_iou, random_films

TWO = ((10.0, 20.0, 110.0, 220.0), (0.0, 1.0, 512.0, 640.0))


def write(films, name, target, **options) -> Path:
    export(make_annotations(*films), name, target, options=FormatOptions(**options))
    return target


def same_boxes(films, back, *, has_scores=False) -> None:
    found = {Path(film.name).stem: film for film in back}
    assert len(found) == len(films)
    for film in films:
        other = found[Path(film.name).stem]
        # Libraries may change the order of boxes: compare in a fixed one.
        ours, theirs = (xyxy[np.lexsort(np.round(xyxy, 3).T)] for xyxy in (film.xyxy, other.xyxy))
        assert paired_iou(ours, theirs).min() >= 0.999
        assert set(other.labels) == set(film.labels)
        if has_scores:
            np.testing.assert_allclose(np.sort(other.scores), np.sort(film.scores), rtol=1e-6)


# Datumaro writes corners with two decimals, so boxes of a pixel only come back with those.
DATUMARO_DECIMALS = 2


def datumaro_round_trip(source, format_in, format_out, target, tmp_path):
    datumaro = pytest.importorskip("datumaro")
    dataset = datumaro.Dataset.import_from(str(source), format_in)
    dataset.export(str(target), format_out, save_media=False)
    return target


@pytest.mark.slow
def test_coco_through_datumaro(tmp_path):
    films = random_films(decimals=DATUMARO_DECIMALS)
    (tmp_path / "in" / "images").mkdir(parents=True)
    write(films, "coco", tmp_path / "in" / "annotations" / "instances_default.json")
    (tmp_path / "in" / "annotations" / "instances_default.sidecar.csv").unlink()
    out = datumaro_round_trip(
        tmp_path / "in", "coco_instances", "coco_instances", tmp_path / "out", tmp_path
    )
    back = read_coco(next((out / "annotations").glob("*.json")))
    same_boxes(films, back)


@pytest.mark.slow
def test_coco_through_globox_keeps_scores(tmp_path):
    globox = pytest.importorskip("globox")
    films = random_films()
    write(films, "coco", tmp_path / "a.json")
    annotations = globox.AnnotationSet.from_coco(tmp_path / "a.json")
    annotations.save_coco(tmp_path / "b.json", auto_ids=True)
    same_boxes(films, read_coco(tmp_path / "b.json"))


def test_coco_in_supervision(tmp_path):
    supervision = pytest.importorskip("supervision")
    Image.new("L", (512, 640)).save(tmp_path / "film.png")
    write([make_film(boxes=TWO)], "coco", tmp_path / "a.json")
    dataset = supervision.DetectionDataset.from_coco(str(tmp_path), str(tmp_path / "a.json"))
    detections = next(iter(dataset.annotations.values()))
    np.testing.assert_allclose(detections.xyxy, TWO)
    assert dataset.classes == ["pneumonia"]


@pytest.mark.slow
def test_voc_with_fractions_through_datumaro(tmp_path):
    films = random_films(decimals=DATUMARO_DECIMALS)
    write(films, "voc", tmp_path / "in", voc_floats=True)
    out = datumaro_round_trip(
        tmp_path / "in", "voc_detection", "voc_detection", tmp_path / "out", tmp_path
    )
    same_boxes(films, read_voc(out), has_scores=True)


def test_classic_voc_in_supervision_which_counts_from_one(tmp_path):
    supervision = pytest.importorskip("supervision")
    Image.new("L", (512, 640)).save(tmp_path / "film.png")
    write([make_film(boxes=TWO)], "voc", tmp_path / "voc", voc_one_based=True)
    dataset = supervision.DetectionDataset.from_pascal_voc(
        str(tmp_path), str(tmp_path / "voc" / "Annotations")
    )
    np.testing.assert_allclose(next(iter(dataset.annotations.values())).xyxy, TWO)


@pytest.mark.slow
def test_voc_through_globox(tmp_path):
    globox = pytest.importorskip("globox")
    films = random_films(is_whole=True)
    write(films, "voc", tmp_path / "in")
    annotations = globox.AnnotationSet.from_pascal_voc(tmp_path / "in" / "Annotations")
    annotations.save_pascal_voc(tmp_path / "out")
    same_boxes(films, read_voc(tmp_path / "out"))


def test_voc_names_with_spaces_dots_and_folders_in_datumaro(tmp_path):
    datumaro = pytest.importorskip("datumaro")
    names = ["ward 1/left lung.png", "1.2.840.113.png", "1.2.840.114"]
    write([make_film(name) for name in names], "voc", tmp_path / "voc")
    dataset = datumaro.Dataset.import_from(str(tmp_path / "voc"), "voc_detection")
    assert {item.id for item in dataset} == {"ward 1/left lung", "1.2.840.113", "1.2.840.114"}
    assert all(len(item.annotations) == 1 for item in dataset)
    found = [annotation.attributes["score"] for item in dataset for annotation in item.annotations]
    assert [float(score) for score in found] == [0.9] * 3


@pytest.mark.slow
@pytest.mark.parametrize("confidence", [False, True])
def test_yolo_through_globox(tmp_path, confidence):
    globox = pytest.importorskip("globox")
    films = random_films()
    write(films, "yolo", tmp_path / "in", yolo_confidence=confidence)
    sizes = {film.name: (film.width, film.height) for film in films}
    folder = tmp_path / "in" / "labels"
    annotations = globox.AnnotationSet(
        globox.Annotation.from_yolo_v5(path, image_size=sizes[f"{path.stem}.png"])
        for path in sorted(folder.glob("*.txt"))
    )
    (tmp_path / "out").mkdir()
    annotations.save_yolo_v5(tmp_path / "out" / "labels", label_to_id={"0": 0})
    shutil.copy(tmp_path / "in" / "data.yaml", tmp_path / "out")
    back = read_yolo(tmp_path / "out", lambda name: sizes[f"{name}.png"])
    same_boxes(films, back, has_scores=confidence)


def test_yolo_in_supervision_with_negatives(tmp_path):
    supervision = pytest.importorskip("supervision")
    folder = write([make_film(boxes=TWO), make_film("none.png", boxes=())], "yolo", tmp_path / "y")
    for name in ("film", "none"):
        Image.new("L", (512, 640)).save(folder / "images" / f"{name}.png")
    dataset = supervision.DetectionDataset.from_yolo(
        str(folder / "images"), str(folder / "labels"), str(folder / "data.yaml")
    )
    found = {Path(path).stem: detections for path, detections in dataset.annotations.items()}
    np.testing.assert_allclose(found["film"].xyxy, TWO, atol=1e-3)
    assert len(found["none"]) == 0
    assert dataset.classes == ["pneumonia"]


@pytest.mark.parametrize("name", ["yolo", "yolo-1.1"])
def test_both_yolo_layouts_in_datumaro(tmp_path, name):
    datumaro = pytest.importorskip("datumaro")
    folder = write([make_film(boxes=TWO)], name, tmp_path / "y")
    images = folder / ("images" if name == "yolo" else "obj_train_data")
    Image.new("L", (512, 640)).save(images / "film.png")
    dataset = datumaro.Dataset.import_from(str(folder), "yolo")
    item = next(iter(dataset))
    boxes = np.array([box.points for box in item.annotations])
    np.testing.assert_allclose(boxes, TWO, atol=0.02)


@pytest.mark.slow
def test_cvat_through_datumaro_keeps_scores_and_words(tmp_path):
    films = random_films(decimals=DATUMARO_DECIMALS)
    write(films, "cvat", tmp_path / "a.xml")
    (tmp_path / "a.sidecar.csv").unlink()
    (tmp_path / "images").mkdir()
    for film in films:  # datumaro reads nothing without the films
        (tmp_path / "images" / film.name).write_bytes(b"")
    out = datumaro_round_trip(tmp_path / "a.xml", "cvat", "cvat", tmp_path / "out", tmp_path)
    back = read_cvat(next(out.rglob("*.xml")))
    same_boxes(films, back, has_scores=True)
    assert back[0].keywords[0] == films[0].keywords[0]


def test_cvat_names_and_declared_attributes_in_datumaro(tmp_path):
    datumaro = pytest.importorskip("datumaro")
    from datumaro.components.annotation import AnnotationType

    names = ["ward 1/sub.folder/1.2.840.113.png", "b.png"]
    write([make_film(name) for name in names], "cvat", tmp_path / "a.xml")
    for name in names:
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes(b"")
    dataset = datumaro.Dataset.import_from(str(tmp_path / "a.xml"), "cvat")
    assert {item.id for item in dataset} == {"ward 1/sub.folder/1.2.840.113", "b"}
    labels = dataset.categories()[AnnotationType.label]
    box = next(a for a in next(iter(dataset)).annotations if a.type == AnnotationType.bbox)
    declared = labels[box.label]
    assert declared.name == "pneumonia"
    assert {"score", "left"} <= declared.attributes
    assert float(box.attributes["score"]) == 0.9
    assert box.attributes["left"] is True
    assert box.attributes["right"] is False


@pytest.mark.slow
def test_labelme_through_globox(tmp_path):
    globox = pytest.importorskip("globox")
    films = random_films(is_whole=True)
    write(films, "labelme", tmp_path / "in")
    annotations = globox.AnnotationSet.from_labelme(tmp_path / "in")
    annotations.save_labelme(tmp_path / "out")
    same_boxes(films, read_labelme(tmp_path / "out"))


def test_labelme_opens_its_file_beside_the_film(tmp_path):
    module = labelme_reader()
    film = make_film("ward 1/film.png", boxes=TWO)
    folder = write([film], "labelme", tmp_path / "out")
    Image.new("L", (512, 640)).save(folder / "ward 1" / "film.png")
    opened = module.LabelFile(str(folder / "ward 1" / "film.json"))
    assert [shape["points"] for shape in opened.shapes] == [
        [[10.0, 20.0], [110.0, 220.0]],
        [[0.0, 1.0], [512.0, 640.0]],
    ]
    assert opened.shapes[0]["flags"] == {"left": True, "lower": True}
    assert opened.shapes[0]["other_data"]["score"] == 0.9
    assert opened.otherData["severity"] == 3.5
    (folder / "ward 1" / "film.png").unlink()
    with pytest.raises(module.LabelFileError):
        module.LabelFile(str(folder / "ward 1" / "film.json"))


def labelme_reader():
    """LabelMe's own file reader, without the window system that its package starts with."""
    try:
        files = importlib.metadata.files("labelme") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("needs labelme")
    pytest.importorskip("loguru")
    pytest.importorskip("tifffile")
    path = next(file.locate() for file in files if file.name == "_label_file.py")
    package = types.ModuleType("labelme")
    package.__version__ = importlib.metadata.version("labelme")
    package.utils = types.SimpleNamespace(
        apply_exif_orientation=lambda image: image,
        img_data_to_pil=lambda img_data: Image.open(io.BytesIO(img_data)),
    )
    spec = importlib.util.spec_from_file_location("labelme_label_file", path)
    module = importlib.util.module_from_spec(spec)
    previous = sys.modules.get("labelme")
    sys.modules["labelme"], sys.modules[spec.name] = package, module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
        sys.modules.pop("labelme")
        if previous:
            sys.modules["labelme"] = previous
    return module


@pytest.mark.slow
def test_via_json_through_globox_keeps_scores(tmp_path):
    globox = pytest.importorskip("globox")
    films = random_films()
    (tmp_path / "films").mkdir()
    for film in films:
        (tmp_path / "films" / film.name).write_bytes(b"12345")
    write(films, "via", tmp_path / "a.json", image_root=tmp_path / "films")
    keys = {"label_key": "label", "confidence_key": "score"}
    annotations = globox.AnnotationSet.from_via_json(tmp_path / "a.json", **keys)
    annotations.save_via_json(tmp_path / "b.json", image_folder=tmp_path / "films", **keys)
    same_boxes(films, read_via(tmp_path / "b.json"), has_scores=True)
    assert (
        json.loads((tmp_path / "a.json").read_text()).keys()
        == json.loads((tmp_path / "b.json").read_text()).keys()
    )


@pytest.mark.slow
def test_label_studio_through_its_own_converter_to_coco(tmp_path):
    converter = pytest.importorskip("label_studio_sdk.converter")
    films = random_films()
    write(films, "label-studio", tmp_path / "tasks.json")
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    for number, task in enumerate(tasks):
        task["id"] = number
        task["data"]["image"] = f"https://films/{task['data']['film']}"
        task["annotations"] = [{"id": number, "result": task["predictions"][0]["result"]}]
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "tasks.json").write_text(json.dumps(tasks))
    config = (tmp_path / "tasks.config.xml").read_text()
    converter.Converter(config, str(tmp_path), download_resources=False).convert_to_coco(
        str(tmp_path / "export"), str(tmp_path / "out"), output_image_dir=str(tmp_path / "images")
    )
    categories = json.loads((tmp_path / "out" / "result.json").read_text())["categories"]
    assert [row["name"] for row in categories] == ["pneumonia"]
    back = read_coco(tmp_path / "out" / "result.json")
    # The converter calls a film <hash>__<name>.
    same_boxes(films, [replace(film, name=film.name.split("__")[-1]) for film in back])
