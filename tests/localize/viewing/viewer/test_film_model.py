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
from localize.network.word_similarities import word_similarities
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


def test_answers_are_the_grounding_of_the_regions(model, bundle, film):
    answers = model.answers(film)
    loaded = load_bundle(bundle)
    found = next(Model(loaded).regions([film], limit=100))
    expected = word_similarities(found.fused, loaded.words.vectors.astype(np.float64))
    given = np.array([region.answers for region in answers.regions])
    assert answers.keywords == loaded.words.keywords == model.keywords
    assert given.shape == (len(found.alpha), len(answers.keywords))
    assert np.abs(given - expected).max() <= 1e-5
    alphas = np.array([region.alpha for region in answers.regions])
    assert np.abs(alphas - found.alpha).max() <= 1e-5
    corners = np.array([region.xyxy for region in answers.regions])
    assert np.abs(corners - found.xyxy).max() <= 0.01


def test_phrase_is_read_with_the_lexicon_of_the_bundle(model):
    phrase = model.phrase("LLL")
    assert dataclasses.astuple(phrase) == (("left", "lower"), ())
