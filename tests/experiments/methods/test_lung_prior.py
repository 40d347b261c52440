"""The prior is the median box of each half of the film, and looks at no pixel."""

from __future__ import annotations

import numpy as np
import pytest

from data_manifests.support.errors import DataError
from experiments.methods.lung_prior import fit_lung_prior, prior_prediction
from tests.localize.predictions import SIDE, make_truth

LEFT = [(50, 100, 150, 300), (60, 110, 160, 320), (90, 90, 200, 290)]
RIGHT = [(300, 80, 400, 200), (320, 120, 420, 260)]


def training_films():
    boxes = [(f"film-{k}", *box) for k, box in enumerate(LEFT)]
    boxes += [(f"film-{k}", *box) for k, box in enumerate(RIGHT)]
    ids = [f"film-{k}" for k in range(8)]
    return make_truth(ids, boxes, pneumonia=[1, 1, 1, 0, 0, 0, 0, ""])


def test_boxes_are_medians_and_scores_are_frequencies():
    prior = fit_lung_prior(training_films())
    expected = [np.median(LEFT, axis=0), np.median(RIGHT, axis=0)]
    np.testing.assert_allclose(prior.xyxy * SIDE, expected)
    # Seven films have a known label: three have a box on the film's left, two on its right.
    np.testing.assert_allclose(prior.scores, [3 / 7, 2 / 7])
    assert prior.prevalence == pytest.approx(3 / 7)


def test_every_film_gets_the_same_boxes_in_its_own_size():
    films = make_truth(["a", "b"])
    films.images.loc[1, ["width", "height"]] = (256, 1024)
    found = prior_prediction(fit_lung_prior(training_films()), films)
    a, b = (found.boxes[found.boxes["image_id"] == name] for name in ("a", "b"))
    np.testing.assert_allclose(b["x1"].to_numpy(), a["x1"].to_numpy() / 2)
    np.testing.assert_allclose(b["y2"].to_numpy(), a["y2"].to_numpy() * 2)
    assert found.boxes["score"].tolist() == pytest.approx([3 / 7, 2 / 7] * 2)
    assert found.images["p_pneumonia"].tolist() == pytest.approx([3 / 7] * 2)


def test_a_side_without_boxes_has_no_prior():
    prior = fit_lung_prior(make_truth(["a"], [("a", *LEFT[0])]))
    assert prior.xyxy.shape == (1, 4)


def test_no_boxes_are_no_prior():
    with pytest.raises(DataError, match="boxes"):
        fit_lung_prior(make_truth(["a"]))
