"""`to_supervision`, with the real library where it is installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from data_manifests.support.errors import ConfigError
from localize.prediction.to_supervision import to_supervision
from tests.localize.prediction.test_film_prediction import empty, film


def test_every_number_of_a_film_arrives():
    pytest.importorskip("supervision")
    found = to_supervision(film(labels=("opacity", "effusion")))
    np.testing.assert_array_equal(found.xyxy, [[0, 0, 10, 10], [5, 5, 20, 30]])
    np.testing.assert_allclose(found.confidence, [0.9, 0.4], rtol=1e-6)
    assert found.class_id.tolist() == [1, 0]
    assert found.data["class_name"].tolist() == ["opacity", "effusion"]
    assert found.data["attributes"].tolist() == ["left", ""]
    assert found.data["alpha"].tolist() == [0.7, 0.1]
    assert found.data["detector_score"].tolist() == [0.8, 0.5]


def test_supervision_can_choose_among_the_boxes():
    pytest.importorskip("supervision")
    sure = to_supervision(film())[to_supervision(film()).confidence > 0.5]
    assert len(sure) == 1
    assert sure.data["attributes"].tolist() == ["left"]


def test_a_film_without_boxes_has_no_detections():
    pytest.importorskip("supervision")
    assert len(to_supervision(empty())) == 0


def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ConfigError, match="pip install supervision"):
        to_supervision(film())
