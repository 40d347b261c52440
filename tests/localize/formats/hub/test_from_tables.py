from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from data_manifests.support.errors import DataError
from localize.formats.hub.from_tables import (
    Selection,
    annotations_from_manifest,
    annotations_from_prediction,
)
from tests.localize.predictions import make_prediction, make_truth

BOXES = [("a", 0, 0, 9, 9, 0.2), ("a", 1, 1, 9, 9, 0.9), ("b", 2, 2, 9, 9, 0.5)]


def scores(prediction, **selection):
    hub = annotations_from_prediction(prediction, Selection(**selection))
    return {film.image_id: film.scores.tolist() for film in hub}


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({}, {"a": [0.9, 0.2], "b": [0.5], "c": []}),
        ({"min_score": 0.5}, {"a": [0.9], "b": [0.5], "c": []}),
        ({"max_boxes": 1}, {"a": [0.9], "b": [0.5], "c": []}),
        ({"max_boxes": 0}, {"a": [], "b": [], "c": []}),
        ({"min_score": 0.6, "max_boxes": 5}, {"a": [0.9], "b": [], "c": []}),
    ],
    ids=["all", "by score, inclusive", "by count", "none", "both"],
)
def test_boxes_are_chosen_by_score_and_count_and_negatives_stay(selection, expected):
    assert scores(make_prediction(["a", "b", "c"], BOXES), **selection) == expected


def test_skipped_films_are_not_exported():
    prediction = make_prediction(["a", "b"], BOXES, status=["ok", "skipped"])
    assert set(scores(prediction)) == {"a"}


def test_labels_are_renamed_and_true_boxes_have_no_score():
    manifest = make_truth(["a"], [("a", 1, 1, 5, 5)])
    selection = Selection(min_score=0.5, label_map={"pneumonia": "Lung Opacity"})
    hub = annotations_from_manifest(manifest, selection)
    film = next(iter(hub))
    assert hub.labels == film.labels == ("Lung Opacity",)
    assert np.isnan(film.scores).all()
    assert film.annotators == ("reader",)


def test_attributes_severity_and_probabilities_travel_with_the_film():
    prediction = make_prediction(
        ["a", "b"], BOXES, p_pneumonia=[0.7, np.nan], severity=[4, np.nan],
        attributes={"left": [0.25, np.nan]},
    )  # fmt: skip
    boxes = prediction.boxes.assign(attributes="left; lower;")
    hub = annotations_from_prediction(dataclasses.replace(prediction, boxes=boxes))
    first, second = hub
    assert first.keywords[0] == ("left", "lower")
    assert (first.p_pneumonia, first.severity) == (0.7, 4)
    assert dict(first.prediction.attributes) == {"left": 0.25}
    assert (second.p_pneumonia, second.severity) == (None, None)
    assert dict(second.prediction.attributes) == {}
    assert hub.model == "test-model"
    assert len(list(hub)) == len(list(hub)) == len(hub) == 2


def test_boxes_outside_and_films_without_size_are_refused_with_their_film():
    prediction = make_prediction(["a"], [("a", 0, 0, 600, 9, 0.5)])
    with pytest.raises(DataError, match=r"film 'a'.*x2 <= 512"):
        list(annotations_from_prediction(prediction))
    images = prediction.images.assign(width=np.nan)
    with pytest.raises(DataError, match="width"):
        list(annotations_from_prediction(dataclasses.replace(prediction, images=images)))


def test_no_boxes_at_all_still_have_a_class():
    assert annotations_from_prediction(make_prediction(["a"])).labels == ("pneumonia",)
