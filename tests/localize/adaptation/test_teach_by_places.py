"""`teach_by_places`: candidates that lie on the boxes which a report's words imply."""

from __future__ import annotations

import numpy as np

from data_manifests.boxes import iou_matrix
from detector.film_maps import NO_REGION, FilmMaps
from localize.adaptation.label_by_places import ReportPlaces, place_boxes
from localize.adaptation.place_words import PlaceWords
from localize.adaptation.pseudo_boxes import FilmRois
from localize.adaptation.teach_by_places import best_overlap, box_values, teach_by_places
from tests.localize.adaptation.test_label_by_places import LOWER, RIGHT, UPPER, prior

LEVELS = (0.5, 0.6, 0.7, 0.8)
FILMS = 5


def maps(boxes=(UPPER, LOWER, RIGHT), logits=(0.0, -0.8, 2.2), films=FILMS) -> FilmMaps:
    return FilmMaps(
        image_ids=tuple(f"f{k}" for k in range(films)),
        level_shapes=((1, 1),),
        detector_sha256="",
        maps=np.zeros((films, 1, 1), np.float16),
        anchors=np.zeros((films, len(boxes)), np.int32),
        boxes=np.tile(np.array(boxes, np.float32), (films, 1, 1)),
        logits=np.tile(np.array(logits, np.float32), (films, 1)),
        lowest_anchors=np.zeros((films, 1), np.int32),
        lowest_boxes=np.zeros((films, 1, 4), np.float32),
        sizes=np.full((films, 2), 100, np.float32),
    )


def places(*of_films, has_opacity):
    return ReportPlaces(has_opacity, of_films, prior())


def test_values_are_those_of_a_slow_loop():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 60, (20, 2))
    films = maps(np.c_[corner, corner + rng.uniform(5, 40, (20, 2))], np.zeros(20), films=2)
    true = [films.boxes[0][:3].astype(float) + 3, np.zeros((0, 4))]
    expected = np.zeros((2, 20))
    for k, box in enumerate(films.boxes[0]):
        best = max(float(iou_matrix(box[None].astype(float), one[None])[0, 0]) for one in true[0])
        expected[0, k] = sum(best >= level for level in LEVELS) / len(LEVELS)
        assert best_overlap(films.boxes[0], true[0])[k] == np.float64(best)
    np.testing.assert_allclose(box_values(films, true, LEVELS), expected)
    assert expected.max() > 0


def test_the_words_choose_the_candidates_that_are_taught():
    upper, lower = PlaceWords("left", ("upper",)), PlaceWords("left", ("lower",))
    reports = places(
        (upper,), (lower,), (), (), (upper,), has_opacity=[True, True, False, None, None]
    )
    targets = teach_by_places(maps(), reports, LEVELS)
    assert targets.rows.tolist() == [0, 1, 2]  # no label: left out, whatever words are there
    assert targets.values.argmax(axis=1)[:2].tolist() == [0, 1]
    assert (targets.values[:2].max(axis=1) > 0).all()
    assert not targets.values[2].any()  # a denied opacity teaches zeros
    rois = FilmRois(np.array([UPPER, LOWER, RIGHT]), 1 / (1 + np.exp([0.0, 0.8, -2.2])), 100, 100)
    (box,) = place_boxes(rois, [upper], reports.prior)
    np.testing.assert_allclose(targets.values[0], box_values(maps(films=1), [box[None]], LEVELS)[0])


def test_candidates_without_area_choose_nothing_and_do_not_count():
    films = maps(logits=(0.0, NO_REGION, NO_REGION), films=2)
    reports = places(
        (PlaceWords("right", ("lower",)),), (PlaceWords("left"),), has_opacity=[True, True]
    )
    targets = teach_by_places(films, reports, LEVELS)
    assert targets.rows.tolist() == [1]  # no candidate on the right of the first film
    assert targets.weights.tolist() == [[1, 0, 0]]
