"""`WordPriors`: place and size of boxes by keyword, against scikit-learn and planted films."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from localize.adaptation.pseudo_boxes import FilmRois
from localize.adaptation.pseudo_labels import Candidates, weights_by_words
from localize.adaptation.report_words import ReportWords
from localize.adaptation.word_priors import (
    INVERSE_PENALTY,
    MAX_PROBABILITY,
    box_features,
    fit_word_priors,
)

KEYWORDS = ("left", "lower", "mild", "apical")


@pytest.fixture(scope="module")
def films():
    """Eighty boxes: "lower" is said of low ones, "mild" of small ones, "apical" of two."""
    random = np.random.default_rng(0)
    centre = random.uniform(0.2, 0.8, (80, 2))
    half = random.uniform(0.05, 0.2, (80, 2))
    boxes = 100 * np.hstack([centre - half, centre + half])
    said = np.zeros((80, 4), bool)
    said[:, 0] = random.random(80) < 0.5
    said[:, 1] = centre[:, 1] + random.normal(0, 0.05, 80) > 0.5
    said[:, 2] = half.prod(axis=1) + random.normal(0, 0.002, 80) < 0.015
    said[:2, 3] = True
    known = np.ones_like(said)
    known[10:20, 1] = False
    return boxes, said, known


def test_the_likelihood_is_that_of_scikit_learns_own_pipelines(films):
    boxes, said, known = films
    places = box_features(boxes, 100, 100)
    learned = fit_word_priors(places, said, known, KEYWORDS)
    assert learned.index.tolist() == [1, 2]  # no word of side, none that is hardly ever said
    words = np.array([False, True, False, True])
    expected = np.zeros(len(places))
    for k in (1, 2):
        rows = known[:, k]
        pipeline = make_pipeline(
            StandardScaler().fit(places), LogisticRegression(C=INVERSE_PENALTY, max_iter=500)
        )
        pipeline[1].fit(pipeline[0].transform(places[rows]), said[rows, k])
        chance = pipeline.predict_proba(places)[:, 1].clip(1 - MAX_PROBABILITY, MAX_PROBABILITY)
        expected += np.log(chance if words[k] else 1 - chance)
    found = learned.log_likelihood(places, words, np.ones(4, bool))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_word_that_the_report_leaves_open_does_not_count(films):
    boxes, said, known = films
    places = box_features(boxes, 100, 100)
    learned = fit_word_priors(places, said, known, KEYWORDS)
    said_lower, open_lower = np.array([0, 1, 1, 0], bool), np.array([0, 0, 1, 0], bool)
    without = np.array([1, 0, 1, 1], bool)
    first, second = (learned.log_likelihood(places, w, without) for w in (said_lower, open_lower))
    np.testing.assert_array_equal(first, second)


def test_words_tell_low_from_high_and_small_from_large(films):
    boxes, said, known = films
    learned = fit_word_priors(box_features(boxes, 100, 100), said, known, KEYWORDS)
    low, high = [20.0, 65, 40, 85], [20.0, 15, 40, 35]
    large = [5.0, 40, 45, 98]
    places = box_features(np.array([low, high, large]), 100, 100)
    everything = np.ones(4, bool)
    lower = learned.log_likelihood(places, np.array([0, 1, 1, 0], bool), everything)
    upper = learned.log_likelihood(places, np.array([0, 0, 1, 0], bool), everything)
    assert lower[0] > lower[1]
    assert upper[1] > upper[0]
    assert lower[0] > lower[2]


def test_places_are_the_same_on_either_side_and_on_films_of_any_size():
    box = np.array([[10.0, 30, 40, 60]])
    mirrored = np.array([[60.0, 30, 90, 60]])
    expected = box_features(box, 100, 100)
    np.testing.assert_allclose(box_features(mirrored, 100, 100), expected)
    np.testing.assert_allclose(box_features(box * [3, 7, 3, 7], 300, 700), expected)


def test_nothing_to_learn_from_leaves_the_scores_as_they_are():
    learned = fit_word_priors(
        np.zeros((0, 6)), np.zeros((0, 4), bool), np.zeros((0, 4), bool), KEYWORDS
    )
    places = box_features(np.array([[1.0, 2, 3, 4], [0.0, 0, 0, 0]]), 10, 10)
    said = np.ones(4, bool)
    np.testing.assert_array_equal(learned.log_likelihood(places, said, said), np.zeros(2))


def test_words_correct_a_detector_that_is_often_wrong():
    random = np.random.default_rng(1)
    low, high = [20.0, 60, 40, 80], [20.0, 20, 40, 40]
    candidates, truth = [], []
    for number in range(60):
        is_low = number % 2 == 0
        boxes = np.array([low, high]) + random.normal(0, 2, (2, 4))
        scores = random.uniform(0.5, 0.79, 2)
        best = int(is_low) if random.random() < 0.3 else int(not is_low)  # 30 % wrong
        scores[best] = 0.8
        words = ReportWords(True, (), np.array([False, is_low, is_low, False]), np.ones(4, bool))
        candidates.append(Candidates(f"film-{number}", FilmRois(boxes, scores, 100, 100), words))
        truth.append(int(not is_low))

    def right(worth):
        return np.mean([values.argmax() == t for values, t in zip(worth, truth, strict=True)])

    alone = right([one.rois.scores for one in candidates])
    assert alone < 0.85
    assert right(weights_by_words(candidates, KEYWORDS)) > alone + 0.1
