"""Prediction folders: written whole, read with care."""

from __future__ import annotations

import json
import os

import pandas as pd
import pytest

from data_manifests.support.errors import DataError
from localize.prediction.tables import read_prediction, write_prediction
from tests.localize.predictions import make_prediction

FILES = ("images.csv", "boxes.csv", "attributes.csv", "prediction.json")


def one_film(name: str = "a"):
    return make_prediction(
        [name], [(name, 1, 2, 30, 40, 0.75)], p_pneumonia=[0.5], attributes={"left": [0.25]}
    )


def test_a_new_prediction_replaces_the_old_one(tmp_path):
    write_prediction(one_film("old"), tmp_path / "out")
    write_prediction(one_film("new"), tmp_path / "out")
    assert read_prediction(tmp_path / "out").images["image_id"].tolist() == ["new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize("name", FILES)
def test_a_full_disk_leaves_the_old_prediction_as_it_was(tmp_path, monkeypatch, name):
    out = tmp_path / "out"
    write_prediction(one_film("old"), out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    real = os.replace

    def full(source, target):
        if str(target).endswith(name):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr("data_manifests.support.atomic.os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_prediction(one_film("new"), out)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("moves", [0, 1, 2, 3])
def test_a_mixture_of_two_predictions_does_not_pass_for_finished(tmp_path, monkeypatch, moves):
    """A kill while the finished files are moved in."""
    out = tmp_path / "out"
    write_prediction(one_film("old"), out)
    real, done = os.replace, []

    class Killed(BaseException):
        pass

    def replace(source, target):
        if str(target).startswith(str(out)):
            if len(done) == moves:
                raise Killed
            done.append(target)
        real(source, target)

    monkeypatch.setattr("localize.prediction.tables.os.replace", replace)
    with pytest.raises(Killed):
        write_prediction(one_film("new"), out)
    monkeypatch.undo()
    with pytest.raises(DataError, match=r"a finished prediction, got no prediction\.json"):
        read_prediction(out)


def test_nothing_is_left_of_a_prediction_that_cannot_be_written(tmp_path):
    prediction = one_film()
    bad = type(prediction)(
        prediction.images, prediction.boxes, prediction.attributes, {"x": float("nan")}
    )
    with pytest.raises(ValueError, match="JSON"):
        write_prediction(bad, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


CHANGES = {
    "a box of an unknown film": ("boxes.csv", "a,1.0", "b,1.0", r"boxes.csv row 2.*film of images"),
    "a flipped box": ("boxes.csv", "a,1.0,2.0,30.0", "a,31.0,2.0,30.0", "x1 < x2"),
    "a box that is no number": ("boxes.csv", "a,1.0", "a,one", "field x1: expected a finite"),
    "a box without an end": ("boxes.csv", "a,1.0", "a,-inf", "field x1: expected a finite"),
    "a blank corner": ("boxes.csv", "a,1.0", "a,", "x1 < x2"),
    "a score that is infinite": ("boxes.csv", "0.75", "inf", "field score: expected a finite"),
    "a missing column": ("boxes.csv", "detector_score", "other", "no detector_score"),
    "another version": ("prediction.json", '"format_version": 1', '"format_version": 9', "got 9"),
    "an attribute in words": ("attributes.csv", "0.25", "high", "field left: expected a finite"),
}


@pytest.mark.parametrize(("file", "old", "new", "message"), CHANGES.values(), ids=CHANGES)
def test_a_changed_table_is_refused_with_its_place(tmp_path, file, old, new, message):
    write_prediction(one_film(), tmp_path)
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    with pytest.raises(DataError, match=message):
        read_prediction(tmp_path)


@pytest.mark.parametrize("file", ["images.csv", "attributes.csv"])
def test_a_film_that_comes_twice_is_refused(tmp_path, file):
    write_prediction(one_film(), tmp_path)
    text = (tmp_path / file).read_text()
    (tmp_path / file).write_text(text + text.splitlines()[-1] + "\n")
    with pytest.raises(DataError, match=f"{file} row 3, field image_id: expected an id that no"):
        read_prediction(tmp_path)


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_named(tmp_path, file):
    write_prediction(one_film(), tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(DataError, match=file):
        read_prediction(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", "[" * 100_000, "null"], ids=["empty", "cut", "list", "deep", "null"]
)
def test_a_description_that_is_none_is_refused(tmp_path, content):
    write_prediction(one_film(), tmp_path)
    (tmp_path / "prediction.json").write_text(content)
    with pytest.raises(DataError, match=r"prediction\.json"):
        read_prediction(tmp_path)


def test_ids_that_look_like_numbers_stay_text(tmp_path):
    write_prediction(one_film("007"), tmp_path)
    read = read_prediction(tmp_path)
    assert read.images["image_id"].tolist() == ["007"]
    assert read.boxes["image_id"].tolist() == ["007"]


def test_blank_numbers_are_not_known(tmp_path):
    write_prediction(one_film(), tmp_path)
    assert pd.isna(read_prediction(tmp_path).images["severity"]).all()
    assert json.loads((tmp_path / "prediction.json").read_text())["format_version"] == 1
