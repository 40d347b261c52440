from __future__ import annotations

import io
import json
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_manifests.tables.manifest import read_manifest, write_manifest
from localize.formats.import_boxes import import_boxes
from localize.formats.tools.coco import read_coco
from localize.viewing.viewer import server as server_module
from localize.viewing.viewer.corrections import Corrections
from tests.localize.predictions import make_truth
from tests.localize.viewing.viewer.served import IDS, KEYWORDS, ask, served

COCO_FILE = "corrections.tester.coco.json"


@pytest.fixture
def viewer(tmp_path):
    with served(tmp_path) as server:
        yield server


def png(side: int = 64) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((side, side), 90, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def box(*xyxy, label="opacity"):
    return {"xyxy": list(xyxy), "label": label}


def save(server, number, boxes):
    return ask(server, f"/api/save?number={number}", method="POST", body=json.dumps(boxes))


# --- what it answers ---


def test_films_are_listed_by_number(viewer):
    _, content, _ = ask(viewer, "/api/films")
    assert [film["id"] for film in content["films"]] == list(IDS)
    assert content["keywords"] == list(KEYWORDS)
    assert content["labels"] == ["pneumonia"]
    assert content["annotator"] == "tester"


def test_film_has_its_numbers_and_no_path(viewer, tmp_path):
    _, content, _ = ask(viewer, "/api/film?number=0")
    assert content["card"]["p_pneumonia"] == 0.9
    assert content["card"]["boxes"][0]["xyxy"] == [100, 100, 200, 200]
    assert content["corrected"] is None
    assert str(tmp_path) not in json.dumps(content)


def test_picture_is_a_jpeg_of_the_film(viewer):
    status, content, headers = ask(viewer, f"/api/picture?number=1&key={viewer.access.key}")
    assert (status, headers.get_content_type()) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(content)).size == (512, 512)


def test_phrase_is_read_with_the_lexicon(viewer):
    _, content, _ = ask(viewer, "/api/query?text=LLL%20opacity%20xyz")
    assert content == {"keywords": ["left", "lower"], "ignored": ["opacity", "xyz"]}


def test_regions_are_found_for_the_words_asked(viewer):
    _, content, _ = ask(viewer, "/api/regions?number=0&words=left,lower,unknown")
    assert content["regions"] == [
        {"xyxy": [300, 300, 400, 450], "alpha": 0.6, "match": 1},
        {"xyxy": [100, 50, 200, 150], "alpha": 0.4, "match": 0},
    ]
    assert content["notes"] == ["left lower: by where the region lies, 1 of 2."]


def test_without_a_model_there_are_boxes_but_no_answers(tmp_path):
    with served(tmp_path, has_model=False) as server:
        assert ask(server, "/api/film?number=0")[0] == 200
        for path in ("/api/regions?number=0&words=left", "/api/query?text=left"):
            status, content, _ = ask(server, path)
            assert (status, "--model" in content["error"]) == (404, True)
        status, content, _ = ask(server, "/api/drop", method="POST", body=png())
        assert (status, "--model" in content["error"]) == (404, True)


# --- corrections ---


def test_saved_boxes_come_back_and_lie_in_a_coco_file(viewer, tmp_path):
    assert save(viewer, 0, [box(1.5, 2, 30, 40.25)])[0] == 200
    assert ask(viewer, "/api/film?number=0")[1]["corrected"] == [
        {
            "xyxy": [1.5, 2, 30, 40.25],
            "label": "opacity",
            "score": None,
            "annotator": "tester",
            "is_confirmed": False,
            "sentence": "",
        }
    ]
    (film,) = read_coco(tmp_path / "out" / COCO_FILE)
    assert film.name == "first.png"
    assert film.xyxy.tolist() == [[1.5, 2, 30, 40.25]]
    assert np.isnan(film.scores).all()


def test_film_saved_without_boxes_is_reviewed_and_negative(viewer, tmp_path):
    save(viewer, 1, [])
    (film,) = read_coco(tmp_path / "out" / COCO_FILE)
    assert (film.name, len(film)) == ("second.png", 0)
    assert ask(viewer, "/api/films")[1]["films"][1]["is_reviewed"] is True


def test_saving_again_replaces_and_keeps_the_other_films(viewer, tmp_path):
    save(viewer, 0, [box(1, 2, 30, 40)])
    save(viewer, 1, [box(5, 6, 70, 80)])
    save(viewer, 0, [box(9, 9, 99, 99)])
    films = {film.name: film.xyxy.tolist() for film in read_coco(tmp_path / "out" / COCO_FILE)}
    assert films == {"first.png": [[9, 9, 99, 99]], "second.png": [[5, 6, 70, 80]]}


def test_next_sitting_goes_on_where_the_last_one_ended(viewer, tmp_path):
    save(viewer, 0, [box(1, 2, 30, 40)])
    again = Corrections(tmp_path / "out", "tester")
    assert again.of(viewer.films[0])[0].xyxy == (1, 2, 30, 40)
    again.save(viewer.films[1], [])
    assert len(read_coco(tmp_path / "out" / COCO_FILE)) == 2


def test_corrections_go_into_the_manifest_of_the_films(viewer, tmp_path):
    write_manifest(make_truth(IDS, [("third", 1, 1, 9, 9)]), tmp_path / "manifest")
    save(viewer, 0, [box(1, 2, 30, 40)])
    corrected = import_boxes(
        read_coco(tmp_path / "out" / COCO_FILE), read_manifest(tmp_path / "manifest")
    )
    assert corrected.boxes_of("first").xyxy.tolist() == [[1, 2, 30, 40]]
    assert corrected.boxes_of("third").xyxy.tolist() == [[1, 1, 9, 9]]


@pytest.mark.parametrize("name", ["coco", "label-studio", "cvat"])
def test_reviewed_films_are_exported(viewer, tmp_path, name):
    save(viewer, 0, [box(1, 2, 30, 40)])
    status, content, _ = ask(viewer, f"/api/export?format={name}", method="POST", body="")
    assert status == 200, content
    path = Path(content["path"])
    assert path.parent == tmp_path / "out"
    assert "first.png" in path.read_text("utf-8")


@pytest.mark.parametrize("name", ["dicom-sr", "../x", "", "via"])
def test_other_formats_are_refused(viewer, name):
    save(viewer, 0, [])
    assert ask(viewer, f"/api/export?format={name}", method="POST", body="")[0] == 400


def test_nothing_to_export_is_said(viewer):
    status, content, _ = ask(viewer, "/api/export?format=coco", method="POST", body="")
    assert (status, "saved film" in content["error"]) == (400, True)


@pytest.mark.parametrize(
    ("boxes", "reason"),
    [
        ([box(0, 0, 513, 10)], "outside"),
        ([box(-1, 0, 5, 10)], "outside"),
        ([box(5, 0, 5, 10)], "empty"),
        ([box(9, 0, 5, 10)], "flipped"),
        ([{"xyxy": [0, 0, 5], "label": "x"}], "three numbers"),
        ([{"xyxy": [0, 0, 5, True], "label": "x"}], "a truth value"),
        ([{"xyxy": "0055", "label": "x"}], "text"),
        ([{"xyxy": [0, 0, 5, 5]}], "no label"),
        ([box(0, 0, 5, 5, label="")], "an empty label"),
        ([box(0, 0, 5, 5, label="a\nb")], "a label of two lines"),
        ([box(0, 0, 5, 5, label="x" * 101)], "a label too long"),
        ([box(0, 0, 5, 5)] * 501, "too many boxes"),
        ({"boxes": []}, "no list"),
    ],
)
def test_wrong_boxes_are_refused_and_nothing_is_written(viewer, tmp_path, boxes, reason):
    assert save(viewer, 0, boxes)[0] == 400, reason
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[[[[",
        b"[" * 100_000,
        b'[{"xyxy":[NaN,0,5,5],"label":"x"}]',
        b'[{"xyxy":[0,0,5,1' + b"0" * 400 + b'],"label":"x"}]',
    ],
)
def test_bodies_that_are_no_boxes_are_refused(viewer, body):
    assert ask(viewer, "/api/save?number=0", method="POST", body=body)[0] == 400


# --- dropped films ---


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("scan.png", "scan"),
        ("first.png", "first-2"),
        ("..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("%3Cscript%3E.png", "script"),
        ("..", "film"),
        ("%E2%80%AEgnp.exe", "gnp"),
        ("%D7%A8%D7%99%D7%90%D7%94.png", "ריאה"),
    ],
)
def test_dropped_film_is_read_and_gets_a_harmless_id(viewer, tmp_path, name, expected):
    before = sorted(tmp_path.rglob("*"))
    headers = {"X-Name": name}
    status, content, _ = ask(viewer, "/api/drop", method="POST", body=png(), headers=headers)
    assert status == 200, content
    _, film, _ = ask(viewer, f"/api/film?number={content['number']}")
    assert film["card"]["id"] == expected
    assert sorted(tmp_path.rglob("*")) == before
    assert ask(viewer, f"/api/picture?number={content['number']}&key={viewer.access.key}")[0] == 200


@pytest.mark.parametrize("body", [b"", b"GIF89a", png()[:60], b"<script>alert(1)</script>"])
def test_dropped_file_that_is_no_film_is_refused(viewer, body):
    status, content, _ = ask(viewer, "/api/drop", method="POST", body=body)
    assert (status, "expected" in content["error"]) == (422, True)
    assert len(viewer.films) == 3


def test_dropped_file_over_the_cap_is_refused_unread(viewer, monkeypatch):
    monkeypatch.setattr(server_module, "MAX_FILM_BYTES", 1000)
    with socket.create_connection(("127.0.0.1", viewer.access.port), timeout=10) as connection:
        connection.sendall(
            f"POST /api/drop HTTP/1.1\r\nHost: 127.0.0.1:{viewer.access.port}\r\n"
            f"X-Key: {viewer.access.key}\r\nContent-Length: 99999999\r\n\r\n".encode()
        )
        assert b" 400 " in connection.recv(200)


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "²", ""])
def test_body_without_a_proper_length_is_refused(viewer, length):
    with socket.create_connection(("127.0.0.1", viewer.access.port), timeout=10) as connection:
        connection.sendall(
            f"POST /api/drop HTTP/1.1\r\nHost: 127.0.0.1:{viewer.access.port}\r\n"
            f"X-Key: {viewer.access.key}\r\nContent-Length: {length}\r\n\r\n".encode("latin-1")
        )
        assert b" 400 " in connection.recv(200)


# --- who may ask ---


def test_it_listens_on_this_computer_only(viewer):
    assert viewer.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("path", ["/", "/api/films", "/api/film?number=0", "/api/picture?number=0"])
def test_without_the_key_nothing_is_said(viewer, path):
    status, content, _ = ask(viewer, path, has_key=False)
    assert status == 403
    assert "first" not in json.dumps(content)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Host": "evil.example"}, "DNS rebinding"),
        ({"Host": "127.0.0.1:1"}, "another port"),
        ({"Origin": "http://evil.example"}, "a foreign page"),
        ({"Origin": "null"}, "a sandboxed page or a file"),
        ({"Sec-Fetch-Site": "cross-site"}, "a foreign page's image or form"),
        ({"X-Key": "wrong"}, "a guess"),
        ({"X-Key": "é"}, "a key that is not ASCII"),
    ],
)
def test_strangers_are_refused(viewer, headers, reason):
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    assert ask(viewer, "/api/films", headers=encoded)[0] == 403, reason
    body = json.dumps([])
    saved = ask(viewer, "/api/save?number=0", method="POST", body=body, headers=encoded)
    assert saved[0] == 403, reason
    assert len(viewer.corrections) == 0


def test_own_page_is_served_with_its_key(viewer):
    origin = {
        "Origin": f"http://127.0.0.1:{viewer.access.port}",
        "Sec-Fetch-Site": "same-origin",
    }
    assert ask(viewer, "/api/films", headers=origin)[0] == 200
    status, content, headers = ask(viewer, f"/?key={viewer.access.key}", has_key=False)
    assert (status, headers.get_content_type()) == (200, "text/html")
    assert viewer.access.key.encode() not in content
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/../server.py",
        "/..%2fserver.py",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/server.py",
        "//etc/passwd",
        "/viewer.html",
        "/api/../viewer.js",
    ],
)
def test_other_files_are_not_served(viewer, path):
    assert ask(viewer, path)[0] == 404


@pytest.mark.parametrize("number", ["", "-1", "3", "1.0", "x", "../0", "²", "99999999999"])
def test_other_numbers_name_no_film(viewer, number):
    from urllib.parse import quote

    assert ask(viewer, f"/api/film?number={quote(number)}")[0] in (400, 404)


def test_get_does_not_save(viewer):
    assert ask(viewer, "/api/save?number=0")[0] == 404


def test_dropped_films_are_gone_when_it_ends(tmp_path):
    with served(tmp_path) as server:
        ask(server, "/api/drop", method="POST", body=png())
        file = server.films[3].file
        assert file.is_file()
    assert not file.exists()


def test_untouched_boxes_keep_score_and_words_and_others_get_the_annotator(viewer):
    moved, untouched = box(101, 100, 200, 200, label="pneumonia"), [300, 300, 400, 400]
    confirmed = {**box(*untouched, label="pneumonia"), "is_confirmed": True}
    save(viewer, 0, [moved, box(*untouched, label="pneumonia")])
    saved = ask(viewer, "/api/film?number=0")[1]["corrected"]
    assert [(b["score"], b["annotator"]) for b in saved] == [(None, "tester"), (0.2, "")]
    save(viewer, 0, [moved, confirmed])
    saved = ask(viewer, "/api/film?number=0")[1]["corrected"]
    assert [(b["score"], b["annotator"]) for b in saved] == [(None, "tester"), (0.2, "tester")]
    save(viewer, 0, [box(*untouched, label="nodule")])
    saved = ask(viewer, "/api/film?number=0")[1]["corrected"]
    assert [(b["score"], b["annotator"]) for b in saved] == [(None, "tester")], "relabelled"


def test_two_viewers_of_one_annotator_keep_each_other_s_films(viewer, tmp_path):
    with served(tmp_path) as other:
        assert save(viewer, 0, [box(1, 2, 30, 40)])[0] == 200
        assert save(other, 1, [box(5, 6, 70, 80)])[0] == 200
        assert save(viewer, 2, [])[0] == 200
        status, content, _ = save(other, 0, [])
        assert (status, "another viewer" in content["error"]) == (400, True)
        assert save(other, 0, [box(2, 2, 30, 40)])[0] == 200  # after it was shown anew
    films = {film.name: film.xyxy.tolist() for film in read_coco(viewer.corrections.file)}
    assert sorted(films.values()) == [[], [[2, 2, 30, 40]], [[5, 6, 70, 80]]]


def test_two_annotators_have_a_file_each(viewer, tmp_path):
    save(viewer, 0, [box(1, 2, 30, 40)])
    other = Corrections(tmp_path / "out", "Dr. B/../x")
    assert other.of(viewer.films[0]) is None
    other.save(viewer.films[0], [])
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [".lock", "corrections.Dr_B_x.coco.json", COCO_FILE]
    assert len(read_coco(tmp_path / "out" / COCO_FILE)[0]) == 1


def test_dropped_file_that_is_no_film_is_named_as_the_person_names_it(viewer):
    headers = {"X-Name": "my%20scan.png"}
    _, content, _ = ask(viewer, "/api/drop", method="POST", body=b"no", headers=headers)
    assert content["error"].startswith("my scan.png: expected")


def test_full_picture_has_the_film_s_own_resolution(viewer, tmp_path, monkeypatch):
    monkeypatch.setattr(server_module, "PICTURE_SIDE", 128)
    key = viewer.access.key
    sizes = []
    for query in ("", "&full=1"):
        _, content, _ = ask(viewer, f"/api/picture?number=1&key={key}{query}")
        sizes.append(Image.open(io.BytesIO(content)).size)
    assert sizes == [(128, 128), (512, 512)]
