"""The contract of all exporters: round trips, hostile names, and nothing half-written."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml

from data_manifests.boxes import Boxes
from data_manifests.support.errors import ConfigError
from localize.formats.export import export
from localize.formats.format_name import ExportFormat
from localize.formats.hub.format_options import FormatOptions
from localize.formats.registry import WRITERS
from localize.formats.tools.coco import read_coco
from localize.formats.tools.cvat import read_cvat
from localize.formats.tools.label_studio import read_label_studio
from localize.formats.tools.labelme import read_labelme
from localize.formats.tools.rsna_csv import read_rsna_csv
from localize.formats.tools.via import read_via
from localize.formats.tools.voc import read_voc
from localize.formats.tools.yolo import read_yolo
from localize.prediction.film_prediction import FilmPrediction
from tests.localize.formats.films import (
    HOSTILE_NAMES,
    make_annotations,
    make_film,
    paired_iou,
    random_films,
)


def submit_all(path: Path) -> None:
    """Turn Label Studio predictions into the annotations that its export holds."""
    tasks = json.loads(path.read_text())
    for task in tasks:
        task["annotations"] = [{"result": task["predictions"][0]["result"]}]
    path.write_text(json.dumps(tasks))


@dataclass(frozen=True)
class Trip:
    format: str
    target: str
    read: Any
    options: dict[str, Any] = field(default_factory=dict)
    is_whole: bool = False
    has_scores: bool = True
    has_keywords: bool = True
    after: Any = None


def pixels(read):
    """A reader of a format that states pixels: it needs no sizes of films."""
    return lambda path, _: read(path)


def sizes(films):
    """The size of each film by its name, with or without ending."""
    known = {film.name.removesuffix(".png"): (film.width, film.height) for film in films}
    return lambda name: known[name.removesuffix(".png")]


TRIPS = [
    Trip("coco", "a.json", pixels(read_coco)),
    Trip(
        "v7-coco", "a.json", pixels(read_coco), is_whole=True, has_scores=False, has_keywords=False
    ),
    Trip("voc", "out", pixels(read_voc), {"voc_floats": True}),
    Trip("voc", "out", pixels(read_voc), is_whole=True),
    Trip(
        "voc",
        "out",
        lambda path, _: read_voc(path, is_one_based=True),
        {"voc_one_based": True},
        is_whole=True,
    ),
    Trip("yolo", "out", read_yolo, has_scores=False, has_keywords=False),
    Trip("yolo", "out", read_yolo, {"yolo_confidence": True}, has_keywords=False),
    Trip("yolo-1.1", "out", read_yolo, has_scores=False, has_keywords=False),
    Trip("label-studio", "a.json", pixels(read_label_studio), after=submit_all),
    Trip("cvat", "a.xml", pixels(read_cvat)),
    Trip("labelme", "out", pixels(read_labelme)),
    Trip("via", "a.csv", pixels(read_via)),
    Trip("via", "a.json", pixels(read_via)),
    Trip("rsna-csv", "a.csv", read_rsna_csv, has_keywords=False),
]
FOLDER_FORMATS = [name for name in ExportFormat if WRITERS[name].is_folder]
NAMES = [f"{trip.format}-{'-'.join(trip.options) or trip.target}" for trip in TRIPS]


def written(trip: Trip, tmp_path: Path, films) -> Path:
    for film in films:
        path = tmp_path / "films" / film.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"film")
    options = FormatOptions(image_root=tmp_path / "films", **trip.options)
    export(make_annotations(*films), trip.format, tmp_path / trip.target, options=options)
    if trip.after:
        trip.after(tmp_path / trip.target)
    return tmp_path / trip.target


@pytest.mark.slow
@pytest.mark.parametrize("trip", TRIPS, ids=NAMES)
def test_ten_thousand_boxes_come_back_where_they_were(trip, tmp_path):
    films = random_films(is_whole=trip.is_whole)
    back = {film.name: film for film in trip.read(written(trip, tmp_path, films), sizes(films))}
    assert len(back) == len(films)
    worst = 1.0
    for film in films:
        stem = film.name.removesuffix(".png")
        other = back[film.name] if film.name in back else back[stem]
        xyxy = other.xyxy
        np.testing.assert_allclose(xyxy, film.xyxy, atol=0.01)
        worst = min(worst, paired_iou(xyxy, film.xyxy).min())
        assert other.labels == film.labels
        if trip.has_scores:
            np.testing.assert_allclose(other.scores, film.scores, rtol=1e-9)
        if trip.has_keywords:
            assert other.keywords == film.keywords
    assert worst >= 0.999


@pytest.mark.parametrize("trip", TRIPS, ids=NAMES)
def test_films_without_boxes_are_written_and_come_back(trip, tmp_path):
    films = [make_film("a.png"), make_film("none.png", boxes=())]
    back = trip.read(written(trip, tmp_path, films), sizes(films))
    assert sorted((film.name.removesuffix(".png"), len(film)) for film in back) == [
        ("a", 1),
        ("none", 0),
    ]


# VIA needs the films, the challenge's CSV takes each name once; DICOM and Slicer have such tests of
# their own.
SAFE_FORMATS = sorted(
    name
    for name in ExportFormat
    if name not in ("via", "rsna-csv", "slicer", "png") and not name.startswith("dicom")
)


def every_file(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", SAFE_FORMATS)
def test_hostile_names_stay_inside_the_folder_and_leave_files_well_formed(name, tmp_path):
    target = tmp_path / "here" / ("out" if name in FOLDER_FORMATS else "out.json")
    hostile_label = '<script>"&\x00;:</script>'
    films = [
        make_film(film, labels=(hostile_label,), keywords=(("<b>",),)) for film in HOSTILE_NAMES
    ]
    export(make_annotations(*films, keywords=("<b>", "left")), name, target)
    assert all(file.startswith("here/out") for file in every_file(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"here"}
    files = [path for path in target.parent.rglob("*") if path.is_file()]
    for file in files:
        assert len(os.fsencode(file.name)) <= 255
        content = file.read_text("utf-8")
        if file.suffix == ".json" and name != "cvat":
            json.loads(content)
        elif file.suffix == ".xml" or (name == "cvat" and file.suffix == ".json"):
            root = ElementTree.fromstring(content)  # noqa: S314 - our own output
            assert not list(root.iter("script"))
        elif file.suffix == ".yaml":
            assert yaml.safe_load(content)["names"] == {0: hostile_label}
    per_film = {"voc": "*.xml", "yolo": "*.txt", "yolo-1.1": "*.txt", "labelme": "*.json"}
    if name in per_film:
        folder = {"voc": "Annotations", "yolo": "labels", "yolo-1.1": "obj_train_data"}.get(name)
        found = list((target / folder if folder else target).rglob(per_film[name]))
        assert len(found) == len(HOSTILE_NAMES)
        assert len({str(path).casefold() for path in found}) == len(found)


@pytest.mark.parametrize("name", sorted(ExportFormat))
def test_a_failed_export_leaves_the_old_file_and_nothing_else(name, tmp_path, monkeypatch):
    target = tmp_path / ("out" if name in FOLDER_FORMATS else "out.json")
    if name in FOLDER_FORMATS:
        target.mkdir()
    else:
        target.write_text("old")

    def films():
        yield make_film("a.png")
        raise RuntimeError("the disk is full")

    annotations = make_annotations(make_film("a.png"))
    object.__setattr__(annotations, "films", films)
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.png").write_bytes(b"film")
    options = FormatOptions(image_root=tmp_path / "films", spacing_mm=0.2)
    with pytest.raises(Exception, match=r"full|DICOM"):
        export(annotations, name, target, options=options)
    assert every_file(tmp_path) - {"films/a.png"} == (
        set() if name in FOLDER_FORMATS else {"out.json"}
    )
    assert name in FOLDER_FORMATS or target.read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"films", target.name}


@pytest.mark.parametrize("name", FOLDER_FORMATS)
def test_a_folder_that_holds_something_is_never_written_to(name, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(Exception, match="empty folder"):
        export(make_annotations(make_film()), name, tmp_path)
    assert every_file(tmp_path) == {"mine.txt"}


def test_an_unknown_format_is_named_with_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match=r"coco.*'cocoa'"):
        export(make_annotations(make_film()), "cocoa", tmp_path / "x")


def test_the_sidecar_holds_what_formats_lose(tmp_path):
    import pandas as pd

    boxes = Boxes(np.array([[10.0, 20, 110, 220]]), 512, 640)
    answer = FilmPrediction(
        "a", "", boxes, np.array([0.9]), np.array([0.25]), np.array([0.5]), ("x",), (("left",),)
    )
    film = make_film("w/a.png", prediction=answer, annotators=("anna",))
    negative = make_film("b.png", boxes=())
    export(make_annotations(film, negative), "yolo", tmp_path / "out")
    table = pd.read_csv(tmp_path / "out.sidecar.csv")
    row = table.iloc[0]
    assert (row["film"], row["score"], row["alpha"]) == ("w/a.png", 0.9, 0.25)
    assert (row["attributes"], row["model"]) == ("left;lower", "bundle-1")
    assert (row["detector_score"], row["annotator"]) == (0.5, "anna")
    assert row["severity"] == 3.5
    assert table["film"].tolist() == ["w/a.png", "b.png"]
    assert table["x1"].isna().tolist() == [False, True]
