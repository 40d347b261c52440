"""`pneumoloc lungs` and `predict --zones`: files, tables, and what goes wrong."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

import pneumoloc
from data_manifests.laterality import WHOLE_FILM
from data_manifests.phantom.case import PhantomOptions, make_case
from data_manifests.support.errors import DataError
from detector.lungs.lung_shares import cardiothoracic_ratio, zone_cover
from detector.lungs.packaged import load_segmenter
from localize.inference.film_list import films_to_predict
from localize.pipeline.lungs_folder import write_lungs
from localize.pipeline.zones_table import write_zones
from localize.prediction.film_tables import films_of_prediction
from localize.prediction.tables import Prediction, read_prediction, write_prediction
from tests.localize.predictions import make_prediction

PHANTOM = PhantomOptions(size=128, seed=41)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Two phantom films of one name in two folders, one film that is a blank, one damaged."""
    folder = tmp_path_factory.mktemp("films")
    for number, ward in enumerate(("ward-1", "ward-2")):
        (folder / ward).mkdir()
        Image.fromarray(make_case(PHANTOM, number).pixels).save(folder / ward / "film.png")
    Image.fromarray(np.full((64, 80), 90, np.uint8)).save(folder / "blank.png")
    return folder


def run(*arguments):
    return CliRunner().invoke(pneumoloc.command_line(), [*map(str, arguments)])


def test_each_film_has_a_label_picture_and_a_row(films, tmp_path):
    result = run("lungs", films, "--out", tmp_path / "out", "--overlays", "--json")
    assert result.exit_code == 0
    counts = json.loads(result.stdout.splitlines()[-1])
    assert (counts["written"], counts["skipped"], counts["complete"]) == (3, 0, 2)
    table = pd.read_csv(tmp_path / "out" / "lungs.csv").set_index("image_id")
    assert sorted(table.index) == ["blank", "ward-1/film", "ward-2/film"]
    assert (table["status"] == "ok").all()
    assert table.loc["blank", ["found", "why"]].tolist() == ["none", "no lungs found"]
    for image_id in ("ward-1/film", "ward-2/film"):
        row = table.loc[image_id]
        labels = np.asarray(Image.open(tmp_path / "out" / row["labels"]))
        fields = pneumoloc.lung_fields(films / f"{image_id}.png")
        np.testing.assert_array_equal(labels, fields.labels)
        assert row["right_area"] == pytest.approx((labels == 1).mean(), abs=1e-4)
        ratio = cardiothoracic_ratio(fields)
        expected = np.nan if ratio is None else ratio
        assert row["cardiothoracic_ratio"] == pytest.approx(expected, abs=1e-4, nan_ok=True)
        assert (tmp_path / "out" / "overlays" / f"{image_id}.jpg").is_file()


def test_damaged_film_ends_the_run_or_is_listed(films, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no film")
    listed = films_to_predict([films / "blank.png", bad])
    segmenter = load_segmenter()
    with pytest.raises(DataError, match=r"bad\.png"):
        write_lungs(segmenter, listed, tmp_path / "failed")
    assert not (tmp_path / "failed" / "lungs.csv").exists()
    report = write_lungs(segmenter, listed, tmp_path / "out", skip_errors=True)
    assert (report.written, report.skipped) == (1, 1)
    row = pd.read_csv(tmp_path / "out" / "lungs.csv").set_index("image_id").loc["bad"]
    assert row["status"] == "skipped"
    assert "bad.png" in row["error"]
    with pytest.raises(DataError, match="none of 1 films"):
        write_lungs(segmenter, listed[1:], tmp_path / "none", skip_errors=True)


def test_out_must_not_be_the_folder_of_the_films(films):
    result = run("lungs", films, "--out", films)
    assert "of its own" in str(result.exception)


@pytest.fixture
def predicted(films) -> Prediction:
    boxes = [("blank", 0, 0, 40, 64, 0.5), ("film", 20, 30, 60, 60, 0.9)]
    found = make_prediction(["blank", "film"], boxes)
    images = found.images.assign(width=[80.0, 128.0], height=[64.0, 128.0])
    return Prediction(images, found.boxes, found.attributes, found.info)


def test_zones_are_the_cover_of_the_film_s_lungs(films, tmp_path, predicted):
    write_prediction(predicted, tmp_path / "out")
    paths = [films / "blank.png", films / "ward-1" / "film.png"]
    listed = films_to_predict(paths)
    write_zones(predicted, listed, load_segmenter(), tmp_path / "out" / "zones.csv")
    table = pd.read_csv(tmp_path / "out" / "zones.csv").set_index("image_id")
    fields = pneumoloc.lung_fields(paths[1])
    cover = zone_cover(fields, np.array([(20.0, 30, 60, 60)]), np.array([0.9]))
    np.testing.assert_allclose(table.loc["film", list("ABCDEF")].astype(float), cover, atol=1e-4)
    assert table["lungs"].to_dict() == {"blank": "none", "film": "both"}
    blank, film = films_of_prediction(read_prediction(tmp_path / "out"))
    assert blank.borders == WHOLE_FILM
    assert film.borders.midline == pytest.approx(fields.borders.midline, abs=1e-4)


def test_films_that_are_not_given_are_named(films, tmp_path, predicted):
    listed = films_to_predict([films / "blank.png"])
    with pytest.raises(DataError, match="'film'"):
        write_zones(predicted, listed, load_segmenter(), tmp_path / "zones.csv")


@pytest.mark.parametrize(
    ("row", "field"),
    [("film,0.5,0.6,0.5,0.4", "order"), ("film,x,0.3,0.5,0.4", "midline")],
)
def test_damaged_zones_are_refused(tmp_path, predicted, row, field):
    write_prediction(predicted, tmp_path / "out")
    header = "image_id,midline,middle_starts,lower_starts,whole_lung"
    (tmp_path / "out" / "zones.csv").write_text(f"{header}\n{row}\n", "utf-8")
    with pytest.raises(DataError, match=field):
        read_prediction(tmp_path / "out")


def test_zones_of_an_earlier_prediction_do_not_stay(tmp_path, predicted):
    write_prediction(predicted, tmp_path / "out")
    (tmp_path / "out" / "zones.csv").write_text("image_id\n", "utf-8")
    write_prediction(predicted, tmp_path / "out")
    assert not (tmp_path / "out" / "zones.csv").exists()
