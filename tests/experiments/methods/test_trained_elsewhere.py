"""`TrainedElsewhere`: predictions that the training machine has written."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from data_manifests.support.errors import ConfigError, DataError
from experiments.methods.box_prediction import box_prediction, scored_film
from experiments.methods.inputs import TestSet
from experiments.methods.trained_elsewhere import ADAPTED, PREDICTIONS, TrainedElsewhere
from localize.prediction.tables import write_prediction


def test_set(*names):
    return TestSet("films", SimpleNamespace(images=pd.DataFrame({"image_id": names})))


test_set.__test__ = False


@pytest.fixture
def inputs(tmp_path):
    """Predictions of the films a and b by the detector as it was."""
    box, score = np.array([[1.0, 2.0, 30.0, 40.0]]), np.array([0.7])
    films = [scored_film(name, 100, 100, box, score) for name in "ab"]
    folder = tmp_path / ADAPTED / PREDICTIONS / "retinanet"
    write_prediction(box_prediction(films, "retinanet", {}), folder)
    return SimpleNamespace(out=tmp_path)


def test_the_prediction_of_the_test_films_is_read(inputs):
    trained = TrainedElsewhere(name="retinanet", source=None).train(inputs)
    found = trained.predict(test_set("a", "b"))
    assert found.boxes[["x1", "y1", "x2", "y2"]].to_numpy().tolist() == [[1, 2, 30, 40]] * 2


def test_a_prediction_of_other_films_is_refused(inputs):
    trained = TrainedElsewhere(name="retinanet", source=None).train(inputs)
    with pytest.raises(DataError, match="expected the 2 films of films, got others"):
        trained.predict(test_set("b", "a"))


def test_a_source_that_was_not_trained_names_the_command(inputs):
    with pytest.raises(ConfigError, match="the predictions of places, got none; run `pneumoloc"):
        TrainedElsewhere(name="report_adapted", source="places").train(inputs)
