"""Films with reports in the viewer: what the page gets, and what it may save."""

from __future__ import annotations

import json

import pytest

from localize.formats.tools.coco import read_coco
from tests.localize.viewing.viewer.served import (
    LEFT_BOX,
    LEFT_TEXT,
    RIGHT_BOX,
    RIGHT_TEXT,
    TAIL_TEXT,
    ask,
    served_reports,
)


@pytest.fixture
def viewer(tmp_path):
    with served_reports(tmp_path) as server:
        yield server


def box(xyxy, label, **known):
    return {"xyxy": list(xyxy), "label": label, **known}


def save(viewer, boxes):
    return ask(viewer, "/api/save?number=0", method="POST", body=json.dumps(boxes))


def test_a_film_comes_with_its_sentences_and_the_sentence_of_each_box(viewer):
    _, films, _ = ask(viewer, "/api/films")
    assert [film["id"] for film in films["films"]] == ["first", "second"]
    assert films["labels"] == ["nodule", "opacity"]
    _, film, _ = ask(viewer, "/api/film?number=0")
    sentences = film["report"]["sentences"]
    assert [one["text"] for one in sentences] == [LEFT_TEXT, RIGHT_TEXT, TAIL_TEXT]
    assert [one["boxes"] for one in sentences] == [2, 1, 0]
    assert sentences[0]["findings"] == ["opacity", "effusion"]
    assert sentences[0]["captions"][1] == "effusion: absent"
    assert sentences[2]["captions"] == ["not visual"]
    of_boxes = {
        tuple(one["xyxy"]): text
        for one, text in zip(film["card"]["boxes"], film["report"]["of_boxes"], strict=True)
    }
    assert of_boxes[LEFT_BOX] == LEFT_TEXT
    assert of_boxes[RIGHT_BOX] == RIGHT_TEXT


def test_a_box_keeps_its_score_only_with_its_sentence(viewer, tmp_path):
    kept = box(LEFT_BOX, "opacity", sentence=LEFT_TEXT)
    moved = box(RIGHT_BOX, "nodule", sentence=TAIL_TEXT)
    drawn = box((5, 5, 60, 60), "opacity", sentence=RIGHT_TEXT)
    status, saved, _ = save(viewer, [kept, moved, drawn, box((1, 1, 30, 30), "opacity")])
    assert status == 200
    assert [one["score"] for one in saved["boxes"]] == [0.6, None, None, None]
    assert [one["annotator"] for one in saved["boxes"]] == ["", "tester", "tester", "tester"]
    (film,) = read_coco(tmp_path / "out" / "corrections.tester.coco.json")
    assert [one.sentence for one in film.boxes] == [LEFT_TEXT, TAIL_TEXT, RIGHT_TEXT, ""]
    _, again, _ = ask(viewer, "/api/film?number=0")
    assert [one["sentence"] for one in again["corrected"]] == [LEFT_TEXT, TAIL_TEXT, RIGHT_TEXT, ""]
    assert save(viewer, [kept, moved])[1]["boxes"][1]["annotator"] == "tester"


@pytest.mark.parametrize("sentence", ["Another sentence.", 3, None])
def test_a_sentence_of_no_report_is_refused(viewer, sentence):
    status, answer, _ = save(viewer, [box(LEFT_BOX, "opacity", sentence=sentence)])
    assert status == 400
    assert "expected" in answer["error"]
    assert not viewer.corrections.file.exists()
