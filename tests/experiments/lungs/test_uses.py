"""Box scores outside the lungs, and zones of the film's own lungs."""

from __future__ import annotations

import numpy as np
import pytest

from detector.lungs.lung_shares import zone_cover
from experiments.lungs.covid_uses import lung_zone_extents
from experiments.lungs.roi_prior import with_prior
from localize.prediction.tables import Prediction
from tests.detector.lungs.fields import drawn_fields, no_fields
from tests.localize.predictions import SIDE, make_prediction

FIELDS = drawn_fields(right=(50, 100, 200, 400), left=(300, 100, 450, 400), size=(SIDE, SIDE))
INSIDE, OUTSIDE, HALF = (60, 120, 160, 300), (60, 410, 160, 500), (20, 120, 80, 300)


def prediction() -> Prediction:
    boxes = [("a", *OUTSIDE, 0.9), ("a", *HALF, 0.6), ("a", *INSIDE, 0.5), ("b", *OUTSIDE, 0.8)]
    return make_prediction(["a", "b"], boxes)


def test_prior_lowers_boxes_outside_the_lungs_and_sorts_again():
    changed = with_prior(prediction(), {"a": FIELDS, "b": no_fields(SIDE, SIDE)}, 0.5)
    rows = changed.boxes[["image_id", "x1", "score"]].to_numpy().tolist()
    assert [row[0] for row in rows] == ["a", "a", "a", "b"]
    assert [row[2] for row in rows] == pytest.approx([0.5, 0.6 * 0.5**0.5, 0.0, 0.8])


def test_no_prior_changes_nothing():
    own = prediction()
    changed = with_prior(own, {"a": FIELDS, "b": FIELDS}, 0.0)
    assert changed.boxes.equals(own.boxes)


def test_extents_are_the_cover_of_each_film_s_own_zones():
    found = lung_zone_extents(prediction(), {"a": FIELDS, "b": no_fields(SIDE, SIDE)})
    boxes = np.array([OUTSIDE, HALF, INSIDE], np.float64)
    np.testing.assert_allclose(found[0], zone_cover(FIELDS, boxes, np.array([0.9, 0.6, 0.5])))
    assert found[1, 2] > 0
