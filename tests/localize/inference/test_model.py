"""`Model`: files, pictures and streams give the same films as the command."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from data_manifests.films.read_film import read_film
from data_manifests.support.errors import ConfigError, DataError
from detector import film_stream
from detector.network.core import torch_core
from detector.proposals import ProposalOptions
from localize.bundle.bundle import load_bundle
from localize.inference import model as module
from localize.inference.film_list import film_list
from localize.inference.model import Model
from localize.inference.options import PredictOptions
from localize.inference.predict_folder import predict_folder
from localize.prediction.film_prediction import FilmPrediction, SkippedFilm
from localize.prediction.film_tables import prediction_of_films
from localize.prediction.tables import TABLES, read_prediction, write_prediction
from tests.localize.models import tiny_severity, write_films, write_tiny_bundle

SIZES = [(96, 96), (200, 120), (60, 150), (96, 96), (200, 120)]
PROPOSALS = ProposalOptions(count=20)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return load_bundle(
        write_tiny_bundle(tmp_path_factory.mktemp("bundle"), severity=tiny_severity())
    )


@pytest.fixture(scope="module")
def model(bundle):
    return Model(bundle, PredictOptions(proposals=PROPOSALS))


@pytest.fixture
def films(tmp_path):
    """Five films; the third cannot be read."""
    paths = write_films(tmp_path / "films", SIZES)
    paths[2].write_text("not a film")
    return paths


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_predict_many_gives_the_bytes_of_the_command(bundle, model, films, tmp_path, batch_size):
    options = PredictOptions(batch_size=batch_size, skip_errors=True, proposals=PROPOSALS)
    predict_folder(Model(bundle, options), film_list(films), tmp_path / "command")
    stream = model.predict_many(films, batch_size=batch_size, on_error="skip")
    info = read_prediction(tmp_path / "command").info
    write_prediction(prediction_of_films(stream, model.keywords, info), tmp_path / "python")
    for name in TABLES:
        written = [(tmp_path / folder / name).read_bytes() for folder in ("command", "python")]
        assert written[0] == written[1], name


def test_a_folder_is_predicted_as_the_list_of_its_films(model, films):
    films[2].unlink()
    listed = [film.to_dict() for film in model.predict_many([films[0].parent])]
    named = [film.to_dict() for film in model.predict_many(str(films[0].parent))]
    assert [one["image_id"] for one in listed] == ["film0", "film1", "film3", "film4"]
    assert named == listed


def test_one_film_is_as_one_of_many(model, films):
    alone = model.predict(str(films[1]))
    first, *_ = model.predict_many([films[1]], batch_size=1)
    assert alone.to_dict() == first.to_dict()
    assert (alone.image_id, alone.path, alone.file) == ("film1", "film1.png", films[1])
    assert (alone.boxes.width, alone.boxes.height) == (200, 120)
    assert model.predict(films[1], image_id="mine").image_id == "mine"


def test_films_have_the_bundles_operating_point_unless_the_detector_ranks(bundle, films):
    fitted = replace(bundle, calibration=replace(bundle.calibration, operating_point=0.25))
    for ranking, expected in (("localizer", 0.25), ("detector", None)):
        made = Model(fitted, PredictOptions(ranking=ranking, proposals=PROPOSALS)).predict(films[1])
        assert made.operating_point == expected
        assert len(made) > 0  # no box is left out


def as_rgb(pixels):
    return np.stack([pixels] * 3, axis=-1)


PICTURES = {
    "PIL": Image.fromarray,
    "PIL in colour": lambda pixels: Image.fromarray(as_rgb(pixels)),
    "uint8": lambda pixels: pixels,
    "uint8 (H, W, 1)": lambda pixels: pixels[:, :, None],
    "uint8 (H, W, 3)": as_rgb,
    "uint8 (3, H, W)": lambda pixels: as_rgb(pixels).transpose(2, 0, 1),
    "uint16": lambda pixels: pixels.astype(np.uint16) * 257,
    "float32": lambda pixels: pixels.astype(np.float32) / np.float32(255),
    "float64": lambda pixels: pixels / 255,
    "tensor (1, H, W)": lambda pixels: torch.from_numpy(pixels.copy())[None],
    "float tensor (3, H, W)": lambda pixels: torch.from_numpy(pixels / 255).expand(3, -1, -1),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_in_memory_is_predicted_as_its_file(model, films, kind):
    of_file = model.predict(films[1])
    pixels = np.asarray(Image.open(films[1]))
    of_picture = model.predict(PICTURES[kind](pixels))
    np.testing.assert_allclose(of_picture.boxes.xyxy, of_file.boxes.xyxy, atol=2e-3)
    np.testing.assert_allclose(of_picture.scores, of_file.scores, atol=1e-6)
    assert of_picture.severity == pytest.approx(of_file.severity, abs=2e-4)
    assert (of_picture.image_id, of_picture.path, of_picture.file) == ("film", "", None)
    np.testing.assert_allclose(of_picture.picture, read_film(films[1]).pixels, atol=1e-6)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros(100, np.uint8), r"shape: expected \(H, W\).*got \(100,\)"),
        (np.zeros((40, 40, 4), np.uint8), r"shape: expected.*got \(40, 40, 4\)"),
        (np.zeros((2, 40, 40), np.uint8), r"shape: expected.*got \(2, 40, 40\)"),
        (np.zeros((40, 40), np.int32), "dtype: expected uint8, uint16 or floating point.*int32"),
        (np.full((40, 40), 200.0), "levels: expected 0 to 1 in floating point, got 200 to 200"),
        (np.full((40, 40), np.nan), "levels: expected 0 to 1"),
        (np.zeros((8, 400), np.uint8), "at least 16 pixels"),
        (torch.zeros(40, 40, dtype=torch.int64), "dtype: expected"),
        (Image.new("RGBA", (40, 40)), "opaque"),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_a_picture_that_is_no_film_is_refused(model, picture, message):
    with pytest.raises(DataError, match=message):
        model.predict(picture)


def test_a_bad_film_stops_the_stream_at_its_place_and_names_its_file(model, films):
    stream = model.predict_many(films, batch_size=1)
    assert [next(stream).image_id for _ in range(2)] == ["film0", "film1"]
    with pytest.raises(DataError, match=f"{films[2]}.*on_error='skip'"):
        next(stream)


def test_a_bad_film_can_be_skipped(model, films):
    found = list(model.predict_many(films, on_error="skip"))
    assert [type(film) for film in found].count(SkippedFilm) == 1
    assert (found[2].image_id, found[2].path) == ("film2", "film2.png")
    assert "film2.png: expected" in found[2].error
    assert isinstance(found[3], FilmPrediction)


def test_wrong_input_is_reported_before_the_first_film(model, films, tmp_path):
    with pytest.raises(ConfigError, match="on_error: expected raise or skip, got 'fail'"):
        model.predict_many(films, on_error="fail")
    with pytest.raises(ConfigError, match="batch_size: expected at least 1"):
        model.predict_many(films, batch_size=0)
    with pytest.raises(DataError, match="no such path"):
        model.predict_many([tmp_path / "none"])
    with pytest.raises(DataError, match="no such file"):
        model.predict(tmp_path / "none.png")


def test_films_are_read_ahead_but_not_all_at_once(model, tmp_path, monkeypatch):
    paths = write_films(tmp_path, [(96, 96)] * 12)
    read = []

    def counted(path):
        read.append(path)
        return read_film(path)

    monkeypatch.setattr(film_stream, "read_film", counted)
    stream = model.predict_many(paths, batch_size=2)
    next(stream)
    assert 2 <= len(read) <= 8
    assert len(list(stream)) == 11
    assert sorted(read) == sorted(paths)


def test_the_detector_is_prepared_once(bundle, films, monkeypatch):
    calls = []

    def counted(detector, precision):
        calls.append(precision)
        return torch_core(detector, precision)

    monkeypatch.setattr(module, "torch_core", counted)
    model = Model(bundle, PredictOptions(precision="bfloat16", proposals=PROPOSALS))
    model.predict(films[0])
    list(model.predict_many(films[:2]))
    assert calls == ["bfloat16"]


def test_boxes_are_cut_by_the_models_options(bundle, model, films):
    every = model.predict(films[0])
    limit = float(every.scores[2])
    few = Model(bundle, PredictOptions(max_boxes=2, proposals=PROPOSALS)).predict(films[0])
    sure = Model(bundle, PredictOptions(min_score=limit, proposals=PROPOSALS)).predict(films[0])
    assert few.scores.tolist() == every.scores[:2].tolist()
    assert sure.scores.tolist() == every.scores[every.scores >= limit].tolist()
    assert few.severity == sure.severity == every.severity
