"""Predictions of a method are cached for its settings and repeats."""

from __future__ import annotations

import pandas as pd
import pytest

from data_manifests.support.errors import ConfigError
from experiments.methods.inputs import TestSet
from experiments.methods.method import method_predictions
from tests.experiments.methods_for_tests import FILMS, Given, make_inputs, other_scores
from tests.localize.predictions import random_pair


@pytest.fixture
def test_films():
    return TestSet("some films", random_pair(0, films=FILMS)[1])


def test_each_repeat_has_its_seed_and_its_folder(tmp_path, test_films):
    method = Given(name="ours", repeats=3)
    found = method_predictions(method, make_inputs(tmp_path, seed=5), test_films)
    for k, one in enumerate(found):
        expected = other_scores(5 + k).boxes["score"].to_numpy()
        assert one.boxes["score"].to_numpy() == pytest.approx(expected)
    folders = {path.parent.relative_to(tmp_path) for path in tmp_path.rglob("prediction.json")}
    assert {str(folder) for folder in folders} == {
        "ours/some_films",
        "repeat_1/ours/some_films",
        "repeat_2/ours/some_films",
    }


def test_a_cached_prediction_is_read_and_never_used_for_other_settings(tmp_path, test_films):
    inputs = make_inputs(tmp_path)
    (first,) = method_predictions(Given(name="ours"), inputs, test_films)
    written = (tmp_path / "ours" / "some_films" / "boxes.csv").stat().st_mtime_ns
    (again,) = method_predictions(Given(name="ours"), inputs, test_films)
    pd.testing.assert_frame_equal(first.boxes, again.boxes)
    assert (tmp_path / "ours" / "some_films" / "boxes.csv").stat().st_mtime_ns == written
    with pytest.raises(ConfigError, match="setting: 0 before, 1 now"):
        method_predictions(Given(name="ours", setting=1), inputs, test_films)
    with pytest.raises(ConfigError, match="seed: 5 before, 6 now"):
        method_predictions(Given(name="ours"), make_inputs(tmp_path, seed=6), test_films)
