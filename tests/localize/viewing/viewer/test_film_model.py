from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from localize.bundle.bundle import load_bundle
from localize.inference.film_list import FilmToPredict
from localize.inference.model import Model
from localize.inference.options import PredictOptions
from localize.inference.predict_films import predict_films
from localize.viewing.viewer.film_model import FilmModel

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(bundle):
    return FilmModel(bundle, CPU)


def test_card_is_that_of_predict_with_its_severity_interval(model, bundle, film):
    card = model.card("x", film)
    prediction = predict_films(
        load_bundle(bundle), [FilmToPredict("x", film, "x")], PredictOptions(), CPU
    )
    assert [box.score for box in card.boxes] == prediction.boxes["score"].round(4).tolist()
    assert card.p_pneumonia == round(float(prediction.images["p_pneumonia"].iloc[0]), 4)
    assert (card.width, card.height) == (160, 120)
    assert card.severity is not None
    assert card.severity_low == pytest.approx(max(card.severity - 0.75, 0), abs=1e-4)
    assert card.severity_high == pytest.approx(min(card.severity + 0.75, 8), abs=1e-4)


def test_regions_are_those_of_the_model(model, bundle, film):
    found = model.regions(film)
    expected = next(Model(load_bundle(bundle)).regions([film], limit=100))
    np.testing.assert_array_equal(found.xyxy, expected.xyxy)
    np.testing.assert_array_equal(found.region_attributes, expected.region_attributes)
    assert found.region_attributes.shape == (len(found.alpha), len(model.keywords))


def test_phrase_is_read_with_the_lexicon_of_the_bundle(model):
    assert dataclasses.astuple(model.query("LLL")) == (("left", "lower"), ())
