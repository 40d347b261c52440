from __future__ import annotations

import base64
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_manifests.support.errors import DataError
from localize.prediction.tables import Prediction
from localize.viewing.gallery import build as build_module
from localize.viewing.gallery.build import build_gallery
from tests.localize.predictions import make_prediction, make_truth
from tests.localize.viewing.gallery.films import save_films

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7*7 }}{% raw %}",
    "x" * 300,
    "\u202egnp.exe\u2066",
    "לונג-肺-лёгкие",
    "../../etc/passwd",
    "a\x01b\u2028c",
)


class Page(HTMLParser):
    """Elements, event handlers and text of script elements by id, as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.scripts: dict[str, str] = {}
        self.links: list[str] = []
        self.text = ""
        self._script: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        named = dict(attrs)
        self.handlers += [name for name in named if name.startswith("on")]
        self.links += [v for k, v in named.items() if k in ("src", "href", "action") and v]
        if tag == "script":
            self._script = named.get("id") or "code"
            self.scripts[self._script] = ""

    def handle_endtag(self, tag):
        if tag == "script":
            self._script = None

    def handle_data(self, data):
        if self._script is not None:
            self.scripts[self._script] += data
        else:
            self.text += data


def page_of(path: Path) -> Page:
    return Page(path.read_text("utf-8"))


def pictures_of(page: Page) -> list[str | None]:
    return [
        picture
        for part in ("first-pictures", "other-pictures")
        for picture in json.loads(page.scripts[part])
    ]


def small(tmp_path, ids=("a", "b"), **options):
    boxes = [(ids[0], 10.0, 20.0, 110.5, 220.25, 0.8), (ids[0], 300, 300, 400, 450, 0.3)]
    prediction = make_prediction(
        ids,
        boxes,
        p_pneumonia=np.linspace(0.9, 0.1, len(ids)),
        attributes={"left": [0.25] * len(ids), "lower": [0.75] * len(ids)},
        severity=[2.5] * len(ids),
    )
    films = save_films(tmp_path / "films", ids)
    return prediction, films


def test_numbers_of_the_page_are_those_of_the_prediction(tmp_path):
    prediction, films = small(tmp_path)
    truth = make_truth(["a"], [("a", 12, 22, 108, 215)])
    page = page_of(build_gallery(prediction, films, tmp_path / "g.html", manifest=truth))
    data = json.loads(page.scripts["data"])
    assert data["keywords"] == ["left", "lower"]
    first, second = data["films"]
    assert (first["id"], first["p_pneumonia"], first["severity"]) == ("a", 0.9, 2.5)
    assert [box["xyxy"] for box in first["boxes"]] == [
        [10, 20, 110.5, 220.25],
        [300, 300, 400, 450],
    ]
    assert [box["score"] for box in first["boxes"]] == [0.8, 0.3]
    assert first["attributes"] == [0.25, 0.75]
    assert first["true_boxes"] == [[12, 22, 108, 215]]
    assert second["boxes"] == []
    assert second["true_boxes"] is None  # not in the manifest: not known, rather than none


def test_film_without_true_boxes_in_the_manifest_has_none(tmp_path):
    prediction, films = small(tmp_path)
    truth = make_truth(["a", "b"], [("a", 12, 22, 108, 215)])
    page = page_of(build_gallery(prediction, films, tmp_path / "g.html", manifest=truth))
    assert json.loads(page.scripts["data"])["films"][1]["true_boxes"] == []


def test_severity_interval_is_kept_within_the_scale(tmp_path):
    prediction, films = small(tmp_path)
    stated = Prediction(
        prediction.images,
        prediction.boxes,
        prediction.attributes,
        {"severity": {"low": 0.0, "high": 3.0, "residual": 1.5}},
    )
    page = page_of(build_gallery(stated, films, tmp_path / "g.html"))
    film = json.loads(page.scripts["data"])["films"][0]
    assert (film["severity_low"], film["severity_high"]) == (1.0, 3.0)


def test_pictures_are_small_jpegs_of_the_films_without_metadata(tmp_path):
    prediction, films = small(tmp_path)
    page = page_of(build_gallery(prediction, films, tmp_path / "g.html"))
    pictures = pictures_of(page)
    image = Image.open(io.BytesIO(base64.b64decode(pictures[0])))
    assert (image.format, image.size, dict(image.getexif())) == ("JPEG", (512, 512), {})
    levels = np.asarray(image, dtype=float)
    assert np.abs(levels - np.linspace(0, 255, 512)).max() < 6  # the ramp, left dark, right bright


def test_many_films_get_smaller_pictures(tmp_path):
    ids = [f"f{k}" for k in range(61)]
    prediction, _ = small(tmp_path, ids)
    one = save_films(tmp_path / "one", ["x"])["x"]
    page = page_of(build_gallery(prediction, dict.fromkeys(ids, one), tmp_path / "g.html"))
    pictures = pictures_of(page)
    assert len(pictures) == 61
    first = pictures[0]
    assert Image.open(io.BytesIO(base64.b64decode(first))).size == (448, 448)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_ids_labels_and_errors_stay_text(tmp_path, hostile):
    prediction, films = small(tmp_path, (hostile, "ok"))
    prediction.boxes["label"] = hostile
    prediction.boxes["attributes"] = hostile
    broken = prediction.images.iloc[[0]].assign(
        image_id="broken", status="skipped", error=hostile, width=np.nan, height=np.nan
    )
    images = pd.concat([prediction.images, broken], ignore_index=True)
    prediction = Prediction(images, prediction.boxes, prediction.attributes, prediction.info)
    page = page_of(build_gallery(prediction, films, tmp_path / "g.html"))
    assert page.tags.count("script") == 4
    assert page.tags.count("img") == 0
    assert page.handlers == []
    film = json.loads(page.scripts["data"])["films"][0]
    assert film["id"] == hostile
    assert film["boxes"][0]["label"] == hostile
    assert hostile in page.text  # the error, as text
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["g.html"]


@settings(max_examples=200, deadline=None)
@given(text=st.text(min_size=1, max_size=40))
def test_any_text_survives_the_embedding(text):
    environment = build_module.page_environment(build_module._own)
    embedded = environment.from_string(
        '<script type="application/json" id="data">{{ data|tojson }}</script>'
    ).render(data={"id": text})
    page = Page(embedded)
    assert page.tags == ["script"]
    assert json.loads(page.scripts["data"])["id"] == text


def test_page_asks_for_nothing_outside_itself(tmp_path):
    prediction, films = small(tmp_path)
    target = build_gallery(prediction, films, tmp_path / "g.html")
    page = page_of(target)
    assert page.links == ["#films"]
    assert "default-src 'none'" in target.read_text("utf-8")
    code = page.scripts["code"]
    assert not any(word in code for word in ("fetch(", "XMLHttpRequest", "innerHTML", "eval("))


def test_skipped_films_are_listed_and_do_not_count(tmp_path):
    prediction, films = small(tmp_path)
    prediction.images.loc[1, ["status", "error"]] = ["skipped", "b.png: expected complete data"]
    page = page_of(build_gallery(prediction, films, tmp_path / "g.html"))
    assert [film["id"] for film in json.loads(page.scripts["data"])["films"]] == ["a"]
    assert "Skipped films (1)" in page.text
    assert "b.png: expected complete data" in page.text


def test_limit_keeps_the_first_films_and_says_so(tmp_path):
    prediction, films = small(tmp_path, ("a", "b", "c"))
    page = page_of(build_gallery(prediction, films, tmp_path / "g.html", limit=2))
    assert [film["id"] for film in json.loads(page.scripts["data"])["films"]] == ["a", "b"]
    assert "The first 2 of 3 predicted films" in page.text


def test_film_that_cannot_be_read_is_a_card_without_picture(tmp_path, caplog):
    prediction, films = small(tmp_path)
    films["b"].write_bytes(b"")
    page = page_of(build_gallery(prediction, films, tmp_path / "g.html"))
    assert [picture is None for picture in pictures_of(page)] == [False, True]
    assert "0 bytes" in caplog.text


def test_films_of_another_place_are_an_error(tmp_path):
    prediction, _ = small(tmp_path)
    with pytest.raises(DataError, match="--films"):
        build_gallery(prediction, {"other": tmp_path / "x.png"}, tmp_path / "g.html")
    assert not (tmp_path / "g.html").exists()


def test_prediction_of_skipped_films_only_is_an_error(tmp_path):
    prediction, films = small(tmp_path)
    prediction.images["status"] = "skipped"
    with pytest.raises(DataError, match="status ok"):
        build_gallery(prediction, films, tmp_path / "g.html")


def test_failure_in_the_middle_leaves_the_old_page(tmp_path, monkeypatch):
    prediction, films = small(tmp_path)
    target = tmp_path / "g.html"
    target.write_text("old")

    def failing(paths, side):
        yield b"picture"
        raise OSError("disk full")

    monkeypatch.setattr(build_module, "thumbnails", failing)
    with pytest.raises(OSError, match="disk full"):
        build_gallery(prediction, films, target)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["g.html"]


def test_the_same_prediction_gives_the_same_bytes(tmp_path):
    prediction, films = small(tmp_path)
    first = build_gallery(prediction, films, tmp_path / "1.html").read_bytes()
    assert build_gallery(prediction, films, tmp_path / "2.html").read_bytes() == first
