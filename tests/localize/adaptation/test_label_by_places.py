"""`label_by_places`: pseudo-boxes where a report places its opacities."""

from __future__ import annotations

import numpy as np

from localize.adaptation.label_by_places import PRIOR_SHARE, _shuffled, place_boxes
from localize.adaptation.place_prior import PlacePrior
from localize.adaptation.place_words import PlaceWords, implied_words
from localize.adaptation.pseudo_boxes import FilmRois

UPPER, LOWER = [60.0, 15.0, 80.0, 30.0], [60.0, 55.0, 80.0, 72.0]
RIGHT = [20.0, 55.0, 40.0, 72.0]
ROIS = FilmRois(np.array([UPPER, LOWER, RIGHT]), np.array([0.5, 0.3, 0.9]), 100, 100)


def prior():
    """Boxes of the upper and the lower zone of one size, with a little noise."""
    random = np.random.default_rng(0)
    boxes = np.vstack([np.tile([0.1, top, 0.3, top + 0.16], (40, 1)) for top in (0.15, 0.56)])
    boxes = boxes + random.normal(0, 0.01, boxes.shape)
    words = [implied_words(box + np.array([0.5, 0, 0.5, 0])) for box in boxes]
    return PlacePrior(boxes, words, np.ones(len(boxes)))


def test_the_words_overrule_the_score_and_the_side_is_kept():
    fitted = prior()
    for zone, region in (("upper", UPPER), ("lower", LOWER)):
        words = PlaceWords("left", (zone,))
        (box,) = place_boxes(ROIS, [words], fitted)
        inner, top, outer, bottom = fitted.given(words).mean
        implied = np.array([50 + 100 * inner, 100 * top, 50 + 100 * outer, 100 * bottom])
        expected = (1 - PRIOR_SHARE) * np.array(region) + PRIOR_SHARE * implied
        np.testing.assert_allclose(box, expected)
    (box,) = place_boxes(ROIS, [PlaceWords("right", ("lower",))], fitted)
    assert box[2] < 50


def test_without_a_side_the_best_region_of_the_film_is_taken():
    (box,) = place_boxes(ROIS, [PlaceWords(None)], prior())
    assert box[2] < 50  # the region with the highest score lies on the right


def test_a_side_without_a_region_gives_no_box():
    only_left = ROIS.subset(np.array([True, True, False]))
    assert place_boxes(only_left, [PlaceWords("right", ("lower",))], prior()) == []


def test_shuffling_gives_every_study_the_words_of_another():
    places = {f"s{k}": (PlaceWords("left", extent="large"),) * (k + 1) for k in range(7)}
    mixed = _shuffled(places, list(places), np.random.default_rng(0))
    assert sorted(map(len, mixed.values())) == list(range(1, 8))
    assert all(mixed[study] != places[study] for study in places)
