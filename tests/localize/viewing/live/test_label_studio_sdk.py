"""The backend against label-studio-sdk with a planted model, so that it runs without torch, too."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest

from data_manifests.boxes import Boxes
from localize.formats.hub.annotations import annotations_of_films
from localize.formats.tools.label_studio import labeling_config
from localize.prediction.film_prediction import FilmPrediction
from tests.localize.formats.films import KEYWORDS, make_film

pytest.importorskip("label_studio_sdk.label_interface")

from label_studio_sdk.label_interface import LabelInterface

from tests.localize.viewing.live import stub_label_studio_ml

BOXES = ((10.5, 20.25, 110.0, 220.0), (0.0, 0.0, 512.0, 640.0))
ONE_LABEL = """<View><Image name="xray" value="$url"/><RectangleLabels name="finding" toName="xray">
<Label value="Consolidation"/></RectangleLabels></View>"""


class PlantedModel:
    """Answers every film with two boxes."""

    keywords = KEYWORDS
    bundle_id = "planted-bundle"

    def predict(self, film):
        return FilmPrediction(
            image_id="film",
            path="film.png",
            boxes=Boxes(np.array(BOXES), 512, 640),
            scores=np.array([0.9, 0.3]),
            alphas=np.full(2, np.nan),
            detector_scores=np.full(2, np.nan),
            labels=("pneumonia",) * 2,
            box_attributes=(("left",), ()),
            severity=3.5,
        )


@pytest.fixture
def backend(monkeypatch):
    """The class that `create_app` gives to the SDK, around the planted model."""
    stub_label_studio_ml.install(monkeypatch)
    module = importlib.import_module("localize.viewing.live.label_studio_backend")
    monkeypatch.delitem(sys.modules, "localize.viewing.live.label_studio_backend")
    return type(
        "Backend", (module.PneumolocBackend,), {"model": PlantedModel(), "label": "pneumonia"}
    )


CONFIGS = {
    "as exported": labeling_config(annotations_of_films([make_film()], keywords=KEYWORDS)),
    "a project of one label": ONE_LABEL,
}


@pytest.mark.parametrize("name", CONFIGS)
def test_predictions_pass_the_sdk_s_own_validation(backend, name):
    config = CONFIGS[name]
    made = backend(label_config=config)
    response = made.predict([{"id": 1, "data": {"image": "/a.png", "url": "/a.png"}}] * 2)
    assert len(response.predictions) == 2
    prediction = response.predictions[0].model_dump()
    assert LabelInterface(config).validate_prediction(prediction, return_errors=True) == []
    values = [r["value"] for r in prediction["result"] if r["type"] == "rectanglelabels"]
    found = np.array([[v["x"], v["y"], v["x"] + v["width"], v["y"] + v["height"]] for v in values])
    np.testing.assert_allclose(found / 100 * [512, 640, 512, 640], BOXES)
    assert prediction["model_version"] == made.get("model_version")
