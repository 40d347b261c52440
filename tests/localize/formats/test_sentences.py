"""The sentence of a box goes out with it and comes back, through every tool that can hold it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from data_manifests.tables.manifest import make_manifest
from localize.formats.dicom.sr import read_dicom_sr
from localize.formats.export import export
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.from_groundings import annotations_from_groundings
from localize.formats.hub.from_tables import Selection
from localize.formats.import_boxes import import_boxes
from localize.formats.registry import read_annotations
from localize.grounding.report_grounding import GroundedSentence, ReportGrounding
from localize.grounding.tables import GroundingWriter
from tests.localize.formats.dicom_films import write_dicom_film
from tests.localize.formats.films import make_imported

SENTENCES = ('Left <b>opacity</b>, "basal" & new; größer.', "No change: small right effusion.")


@pytest.fixture
def folder(tmp_path):
    """Groundings of one film with two sentences, of a report without a film, and of a negative."""

    def row(text, finding, boxes, start, **known):
        return GroundedSentence(
            "", text, start, start + len(text), finding, finding, start, start + 3, "present",
            ("left",), np.array(boxes, float).reshape(-1, 4), np.linspace(0.9, 0.5, len(boxes)),
            ("detector",) * len(boxes), **known,
        )  # fmt: skip

    first = row(SENTENCES[0], "opacity", [[10, 20, 110, 220], [300, 20, 400, 220]], 0)
    second = row(SENTENCES[1], "effusion", [[50, 400, 200, 600]], 50)
    none = row("No nodule.", "nodule", [], 90, why_none="absent")
    with GroundingWriter(tmp_path / "groundings") as writer:
        writer.write(ReportGrounding("s1", "film", "film.dcm", 512, 640, (first, second, none)))
        writer.write(ReportGrounding("s2", "", "", 0, 0, (none,)))
        writer.finish({})
    return tmp_path / "groundings"


def manifest():
    images = {"image_id": "film", "patient_id": "p", "study_id": "s1", "path": "film.dcm"}
    return make_manifest(pd.DataFrame([{**images, "width": 512, "height": 640}]))


def test_the_hub_has_finding_sentence_and_score_of_each_box_best_first(folder):
    annotations = annotations_from_groundings(folder)
    (film,) = annotations
    assert annotations.labels == ("effusion", "opacity")
    assert len(annotations) == 1
    assert film.scores.tolist() == [0.9, 0.9, 0.5]
    assert set(zip(film.labels, film.sentences, strict=True)) == {
        ("opacity", SENTENCES[0]),
        ("effusion", SENTENCES[1]),
    }
    (few,) = annotations_from_groundings(folder, Selection(min_score=0.6, max_boxes=1))
    assert len(few) == 1


@pytest.mark.parametrize(
    ("name", "file"),
    [("label-studio", "tasks.json"), ("cvat", "boxes.xml"), ("coco", "boxes.json")],
)
def test_corrections_come_back_with_their_sentence(folder, tmp_path, name, file):
    annotations = annotations_from_groundings(folder)
    export(annotations, name, tmp_path / file)
    if name == "label-studio":  # a person submits the prediction as it is
        tasks = json.loads((tmp_path / file).read_text())
        for task in tasks:
            task["annotations"] = [{"result": task.pop("predictions")[0]["result"]}]
        (tmp_path / file).write_text(json.dumps(tasks))
        assert 'name="sentence"' in (tmp_path / "tasks.config.xml").read_text()
    films = read_annotations(tmp_path / file, name, manifest())
    (film,) = annotations
    assert tuple(box.sentence for box in films[0].boxes) == film.sentences
    corrected = import_boxes(films, manifest())
    assert tuple(corrected.boxes["sentence"]) == film.sentences


def test_a_structured_report_holds_the_whole_sentence(folder, tmp_path):
    hd = pytest.importorskip("highdicom")
    write_dicom_film(tmp_path / "films" / "film.dcm", width=512, height=640)
    annotations = annotations_from_groundings(folder)
    options = FormatOptions(image_root=tmp_path / "films")
    export(annotations, "dicom-sr", tmp_path / "sr", options=options)
    report = hd.sr.srread(next((tmp_path / "sr").iterdir()))
    groups = report.content.get_planar_roi_measurement_groups()
    assert sorted(group.finding_type.meaning for group in groups) == [
        "effusion",
        "opacity",
        "opacity",
    ]
    (film,) = annotations
    (back,) = read_dicom_sr(tmp_path / "sr")
    assert tuple(box.sentence for box in back.boxes) == film.sentences


def test_the_sidecar_holds_the_sentence_for_formats_that_lose_it(folder, tmp_path):
    export(annotations_from_groundings(folder), "yolo", tmp_path / "out")
    table = pd.read_csv(tmp_path / "out.sidecar.csv")
    assert set(table["sentence"]) == set(SENTENCES)


def test_boxes_without_a_sentence_add_no_column():
    films = [make_imported("film.dcm")]
    assert "sentence" not in import_boxes(films, manifest()).boxes
