"""`pneumoloc ground`: films with reports, reports without films, and the other way round."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from data_manifests.films.read_film import read_film
from data_manifests.support.errors import ConfigError, DataError
from data_manifests.tables.manifest import ManifestInfo, make_manifest, write_manifest
from localize.bundle.bundle import load_bundle
from localize.grounding.tables import read_groundings, read_info
from localize.inference import ground_films as module
from localize.inference.ground_films import GroundOptions
from localize.inference.ground_folder import ground_folder
from localize.inference.model import Model
from localize.inference.options import PredictOptions
from localize.inference.report_films import report_films
from pneumoloc import command_line
from tests.detector.lungs.fields import drawn_fields
from tests.localize.models import write_films

REPORT = "Opacity in the left lower lobe. No effusion. Enlarged heart."


@pytest.fixture(scope="module")
def model(bundle):
    return Model(load_bundle(bundle), PredictOptions(batch_size=2))


@pytest.fixture
def folder(tmp_path):
    """Study s1 has two films, s2 none, s3 one film and no report, s4 a blank report."""
    paths = write_films(tmp_path / "films", [(96, 96), (200, 120), (60, 150), (96, 96)])
    images = pd.DataFrame(
        {
            "image_id": ["a", "b", "c", "d"],
            "patient_id": ["p1", "p1", "p3", "p4"],
            "study_id": ["s1", "s1", "s3", "s4"],
            "path": [path.name for path in paths],
            "split": ["test", "test", "train", "test"],
        }
    )
    reports = pd.DataFrame(
        [
            ("s2", "findings", "Left opacity."),
            ("s1", "indication", "Pneumonia?"),
            ("s1", "findings", REPORT),
            ("s4", "findings", " "),
        ],
        columns=["study_id", "section", "text"],
    )
    target = tmp_path / "manifest"
    info = ManifestInfo(builder="test", image_root="../films")
    write_manifest(make_manifest(images, reports=reports, info=info), target)
    return target


def test_every_film_and_every_report_is_in_the_tables(model, folder, tmp_path):
    counts = ground_folder(model, report_films(folder), tmp_path / "out")
    found = {(one.study_id, one.image_id): one for one in read_groundings(tmp_path / "out")}
    assert list(found) == [("s2", ""), ("s1", "a"), ("s1", "b"), ("s3", "c"), ("s4", "d")]
    assert [one.why_none for one in found["s2", ""].sentences] == ["no film"]
    for image in (("s3", "c"), ("s4", "d")):
        assert [one.why_none for one in found[image].sentences] == ["no report"]
    first = found["s1", "a"]
    assert [one.why_none for one in first.sentences] == ["history", "", "absent", ""]
    assert (first.width, first.height) == (96, 96)
    assert (counts.films, counts.read) == (5, 2)
    assert read_info(tmp_path / "out")["why_none"]["no film"] == 1


def test_a_split_leaves_out_the_studies_of_others(model, folder):
    found = [(one.study_id, one.image_id) for one in report_films(folder, "test")]
    assert found == [("s2", ""), ("s1", "a"), ("s1", "b"), ("s4", "d")]


def test_chunks_change_nothing(model, folder, tmp_path, monkeypatch):
    ground_folder(model, report_films(folder), tmp_path / "one")
    monkeypatch.setattr(module, "CHUNK", 1)
    ground_folder(model, report_films(folder), tmp_path / "many")
    one, many = (pd.read_csv(tmp_path / name / "groundings.csv") for name in ("one", "many"))
    assert one.drop(columns=["x1", "x2", "y1", "y2", "score"]).equals(
        many.drop(columns=["x1", "x2", "y1", "y2", "score"])
    )
    np.testing.assert_allclose(one["x1"], many["x1"], atol=0.05)


def test_python_and_the_command_give_the_same(model, bundle, folder, tmp_path):
    film = next(report_films(folder, "test")).film
    assert film is None
    path = next(one.film for one in report_films(folder) if one.image_id == "b")
    by_python = model.ground(path, REPORT).to_dict()
    arguments = ["ground", str(path), "--report", REPORT, "--model", str(bundle)]
    run = CliRunner().invoke(command_line(), [*arguments, "--out", str(tmp_path / "out")])
    assert run.exit_code == 0, run.output
    (by_command,) = read_groundings(tmp_path / "out")
    for one, other in zip(by_python["sentences"], by_command.to_dict()["sentences"], strict=True):
        assert one["why_none"] == other["why_none"]
        for box, written in zip(one["boxes"], other["boxes"], strict=True):
            np.testing.assert_allclose(box["xyxy"], written["xyxy"], atol=0.006)


def test_a_picture_in_memory_gives_what_its_file_gives(model, folder):
    path = next(one.film for one in report_films(folder) if one.image_id == "a")
    of_file, of_array = (model.ground(one, REPORT) for one in (path, read_film(path).pixels))
    for one, other in zip(of_file.sentences, of_array.sentences, strict=True):
        np.testing.assert_allclose(one.xyxy, other.xyxy)


def test_sides_and_heart_are_those_of_the_films_own_lungs(model, monkeypatch, tmp_path):
    class Planted:
        """Lungs and heart in the left third of the film."""

        def fields(self, pixels):
            height, width = pixels.shape
            third = width // 3
            bounds = {"right": (0, third // 3), "heart": (third // 3, 2 * third // 3)}
            bounds["left"] = (2 * third // 3, third)
            drawn = {name: (x1, 0, x2, height) for name, (x1, x2) in bounds.items()}
            return drawn_fields(**drawn, size=(width, height))

    monkeypatch.setitem(model.__dict__, "_segmenter", Planted())
    (film,) = write_films(tmp_path / "films", [(300, 150)])
    heart, effusion = model.ground(film, "Enlarged heart. Large left effusion.").sentences
    assert heart.xyxy[0].tolist() == pytest.approx([33.3, 0, 66.7, 150], abs=4)
    x1, _, x2, y2 = effusion.xyxy[0]
    assert (x1, x2, y2) == pytest.approx((66.7, 100, 150), abs=4)


def test_an_unreadable_film_stops_or_is_named(model, folder, tmp_path):
    broken = next(one.film for one in report_films(folder) if one.image_id == "b")
    broken.write_text("not a film")
    with pytest.raises(DataError, match="--on-error skip"):
        ground_folder(model, report_films(folder), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    counts = ground_folder(
        model, report_films(folder), tmp_path / "out", GroundOptions(skip_errors=True)
    )
    assert (counts.read, counts.skipped) == (1, 1)
    images = pd.read_csv(tmp_path / "out" / "images.csv")
    assert images["status"].tolist() == ["no film", "ok", "skipped", "no film", "no film"]
    assert "b" in images["image_id"].tolist()


def test_no_film_with_a_report_is_an_error(model, folder, tmp_path):
    only = (one for one in report_films(folder) if one.study_id in ("s2", "s3"))
    with pytest.raises(DataError, match="none of 2 films"):
        ground_folder(model, only, tmp_path / "out")
    assert list(tmp_path.glob(".out*")) == []


def test_a_finished_folder_is_not_overwritten(model, folder, tmp_path):
    ground_folder(model, report_films(folder), tmp_path / "out")
    with pytest.raises(DataError, match="new or empty folder"):
        ground_folder(model, report_films(folder), tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["FILM"], "expected --report TEXT"),
        (["FILM", "--report", "x", "--report-file", "y.txt"], "got both"),
        (["MANIFEST", "--report", "x"], "expected one film"),
        (["FILM", "--report", " "], "expected a text"),
        (["FILM", "--report", "x", "--lexicon", "klingon"], "lexicon"),
        (["FILMS"], "expected a manifest of films with reports"),
    ],
)
def test_wrong_use_is_named(folder, tmp_path, arguments, message):
    names = {
        "FILM": str(next((tmp_path / "films").iterdir())),
        "MANIFEST": str(folder),
        "FILMS": str(tmp_path / "films"),
    }
    words = ["ground", *(names.get(one, one) for one in arguments), "--out", str(tmp_path / "o")]
    run = CliRunner().invoke(command_line(), words)
    assert isinstance(run.exception, ConfigError | DataError)
    assert message in str(run.exception)
    assert not (tmp_path / "o").exists()


def test_a_report_without_text_is_refused(model, film):
    with pytest.raises(DataError, match="use `predict`"):
        model.ground(film, " \n")


def test_memory_does_not_grow_with_the_films(model, folder):
    """The iterator is asked for one chunk at a time."""
    taken = 0
    film = next(one for one in report_films(folder) if one.image_id == "a")

    def many():
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield replace(film, image_id=str(number), film=None)

    stream = module.ground_films(model, many())
    next(stream)
    assert taken <= module.CHUNK + 1
