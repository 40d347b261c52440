"""The backend against label-studio-sdk, and label-studio-ml or (where absent) its stub."""

from __future__ import annotations

import importlib
import importlib.util

import numpy as np
import pytest

from data_manifests.support.errors import ConfigError, DataError
from localize.formats.hub.annotations import annotations_of_films
from localize.formats.tools.label_studio import labeling_config

pytest.importorskip("label_studio_sdk.label_interface")

from label_studio_sdk.label_interface import LabelInterface

from localize.viewing.live.label_studio_controls import project_controls
from tests.localize.viewing.live import stub_label_studio_ml

OWN = """<View><Image name="xray" value="$url"/><RectangleLabels name="finding" toName="xray">
<Label value="Consolidation"/></RectangleLabels></View>"""


@pytest.fixture
def backend(bundle, monkeypatch):
    """The class that `create_app` gives to the SDK."""
    if importlib.util.find_spec("label_studio_ml") is None:
        stub_label_studio_ml.install(monkeypatch)
    module = importlib.import_module("localize.viewing.live.label_studio_backend")
    created = []
    monkeypatch.setattr(
        "label_studio_ml.api.init_app", lambda model_class: created.append(model_class)
    )
    module.create_app(str(bundle), max_boxes=4, device="cpu")
    return created[0]


def exported_config(backend) -> str:
    """The configuration that `pneumoloc export` writes for this model."""
    hub = annotations_of_films([], keywords=backend.model.keywords)
    return labeling_config(hub).replace('"pneumonia"', '"opacity"')


def dumped(response) -> list[dict]:
    return [prediction.model_dump() for prediction in response.predictions]


def test_predictions_pass_the_sdk_s_validation(backend, film):
    config = exported_config(backend)
    made = backend(project_id="1", label_config=config)
    (prediction,) = dumped(made.predict([{"id": 3, "data": {"image": str(film)}}]))
    assert LabelInterface(config).validate_prediction(prediction, return_errors=True) == []
    kinds = [region["type"] for region in prediction["result"]]
    assert kinds.count("rectanglelabels") >= 1
    assert kinds.count("number") == 1
    assert prediction["model_version"] == made.get("model_version") == made.model.bundle_id[:12]


def test_boxes_are_percent_of_the_film(backend, film):
    made = backend(label_config=exported_config(backend))
    (prediction,) = dumped(made.predict([{"data": {"image": str(film)}}]))
    values = [r["value"] for r in prediction["result"] if r["type"] == "rectanglelabels"]
    found = np.array([[v["x"], v["y"], v["x"] + v["width"], v["y"] + v["height"]] for v in values])
    pixels = found / 100 * [160, 120, 160, 120]
    assert np.abs(pixels - made.model.predict(film).boxes.xyxy).max() < 1e-6


def test_projects_own_names_are_used_and_unknown_controls_left_out(backend, film):
    made = backend(label_config=OWN)
    (prediction,) = dumped(made.predict([{"data": {"url": str(film)}}]))
    assert LabelInterface(OWN).validate_prediction(prediction, return_errors=True) == []
    assert {r["from_name"] for r in prediction["result"]} == {"finding"}
    assert {r["value"]["rectanglelabels"][0] for r in prediction["result"]} == {"Consolidation"}


def test_each_task_gets_one_prediction_in_order(backend, film, tmp_path):
    made = backend(label_config=OWN)
    tasks = [{"data": {"url": str(film)}}] * 3
    assert len(made.predict(tasks).predictions) == 3


def test_task_that_is_no_film_is_an_error(backend, tmp_path):
    (tmp_path / "x.png").write_bytes(b"")
    with pytest.raises(DataError, match="0 bytes"):
        backend(label_config=OWN).predict([{"data": {"url": str(tmp_path / "x.png")}}])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            '<View><Text name="t" value="$t"/><Choices name="c" toName="t"><Choice value="x"/>'
            "</Choices></View>",
            "RectangleLabels on an Image",
        ),
        (
            '<View><Image name="i" value="$i"/><RectangleLabels name="r" toName="i">'
            '<Label value="a"/><Label value="b"/></RectangleLabels></View>',
            "the labels opacity, got a, b",
        ),
    ],
)
def test_projects_that_cannot_hold_the_boxes_are_refused(config, message):
    with pytest.raises(ConfigError, match=message):
        project_controls(LabelInterface(config), ["opacity"])


def test_project_with_our_label_among_others_keeps_it():
    config = OWN.replace(
        '<Label value="Consolidation"/>', '<Label value="a"/><Label value="opacity"/>'
    )
    assert project_controls(LabelInterface(config), ["opacity"]).labels == {"opacity": "opacity"}
