"""`FilmPrediction`s to tables and back."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from data_manifests.support.errors import DataError
from localize.prediction.film_prediction import FilmPrediction, SkippedFilm
from localize.prediction.film_tables import (
    films_of_prediction,
    prediction_of_films,
    severity_interval,
)
from localize.prediction.tables import read_prediction, write_prediction
from tests.localize.prediction.test_film_prediction import empty, film
from tests.localize.predictions import make_prediction

KEYWORDS = ("left", "right")
INFO = {"severity": {"low": 0.0, "high": 8.0, "residual": 1.5}}
FILMS = [
    film(opacity="yes", severity=4.0, severity_interval=(2.5, 5.5), warning="odd"),
    SkippedFilm("b", "b.png", "b.png: expected PNG, got an empty file"),
    empty(image_id="c", path="sub/c.png", attributes={"left": 0.25, "right": 0.5}),
    film(
        image_id="d",
        alphas=[np.nan, np.nan],
        detector_scores=[np.nan, np.nan],
        attributes={"left": 0.1, "right": 0.2},
    ),
]


def test_films_come_back_from_the_written_tables_as_they_were(tmp_path):
    write_prediction(prediction_of_films(FILMS, KEYWORDS, INFO), tmp_path / "out")
    back = films_of_prediction(read_prediction(tmp_path / "out"))
    assert [one.to_dict() for one in back] == [one.to_dict() for one in FILMS]


def test_films_of_tables_have_the_predictions_operating_point():
    made = prediction_of_films(FILMS[:1], KEYWORDS, {"operating_point": 0.3})
    assert [one.operating_point for one in films_of_prediction(made)] == [0.3]


def test_films_come_back_from_json_as_they_were():
    films = [one for one in FILMS if isinstance(one, FilmPrediction)]
    text = json.dumps([one.to_dict() for one in films], allow_nan=False)
    back = [FilmPrediction.from_dict(one) for one in json.loads(text)]
    assert [one.to_dict() for one in back] == [one.to_dict() for one in films]
    assert back[0].box_attributes == (("left",), ())
    assert np.isnan(back[-1].alphas).all()


def test_a_keyword_that_a_film_does_not_have_is_blank():
    table = prediction_of_films([empty(attributes={"left": 0.25})], KEYWORDS, {}).attributes
    assert table["left"].tolist() == [0.25]
    assert pd.isna(table["right"]).all()


def test_boxes_of_a_table_in_any_order_are_read_best_first():
    prediction = make_prediction(["a"], [("a", 0, 0, 9, 9, 0.2), ("a", 1, 1, 8, 8, 0.7)])
    shuffled = prediction.boxes.iloc[::-1]
    (one,) = films_of_prediction(
        type(prediction)(prediction.images, shuffled, prediction.attributes, {})
    )
    assert one.scores.tolist() == [0.7, 0.2]


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (("a", 0, 0, 900, 9, 0.2), "film 'a'.*box 0 must be finite"),
        (("a", 0, 0, 9, 9, np.nan), "film 'a'.*scores: expected numbers"),
        (("a", 0, 0, 9, 9, 1.2), "film 'a'.*scores: expected numbers"),
    ],
    ids=["outside the film", "no score", "score over one"],
)
def test_a_table_that_no_film_can_have_is_refused(box, message):
    with pytest.raises(DataError, match=message):
        list(films_of_prediction(make_prediction(["a"], [box])))


@pytest.mark.parametrize(
    "stated",
    [
        None,
        [],
        "8",
        {"low": 0, "high": 8},
        {"low": 0, "high": "8", "residual": 1},
        {"low": 0, "high": float("nan"), "residual": 1},
    ],
)
def test_a_prediction_without_a_usable_range_has_none(stated):
    assert severity_interval({"severity": stated}, 4.0) is None


def test_an_interval_is_cut_to_the_possible_scores():
    info = {"severity": {"low": 0, "high": 8, "residual": 1.5}}
    assert severity_interval(info, 4.0) == (2.5, 5.5)
    assert severity_interval(info, 0.5) == (0.0, 2.0)
    assert severity_interval(info, 7.5) == (6.0, 8.0)
