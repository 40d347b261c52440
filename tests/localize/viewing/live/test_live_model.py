from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from data_manifests.support.errors import DataError
from localize.bundle.bundle import load_bundle
from localize.inference.film_list import FilmToPredict
from localize.inference.options import PredictOptions
from localize.inference.predict_films import predict_films
from localize.viewing.live.live_model import LiveModel

CPU = torch.device("cpu")


@pytest.fixture
def model(bundle):
    return LiveModel(bundle, CPU, max_boxes=3)


def test_boxes_are_those_of_predict(model, bundle, film):
    prediction = predict_films(
        load_bundle(bundle), [FilmToPredict("x", film, "x")], PredictOptions(max_boxes=3), CPU
    )
    annotated = model.annotate(film)
    expected = prediction.boxes[["x1", "y1", "x2", "y2"]].to_numpy()
    assert 0 < len(annotated) <= 3
    assert annotated.xyxy.tolist() == expected.tolist()
    assert annotated.scores.tolist() == prediction.boxes["score"].tolist()
    assert (annotated.width, annotated.height) == (160, 120)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_opened_image_gives_the_same_boxes_as_its_file(model, film, mode):
    annotated = model.annotate_image(Image.open(film).convert(mode))
    assert np.abs(annotated.xyxy - model.annotate(film).xyxy).max() < 1e-3


def test_image_that_is_no_film_is_refused(model):
    with pytest.raises(DataError, match="1,024 pixels"):
        model.annotate_image(Image.new("L", (8, 8)))
