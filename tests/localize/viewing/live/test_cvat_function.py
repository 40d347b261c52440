"""The function against cvat-sdk's own interfaces and its driver's checks."""

from __future__ import annotations

import importlib
import logging
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from data_manifests.boxes import Boxes
from localize.prediction.film_prediction import FilmPrediction

cvataa = pytest.importorskip("cvat_sdk.auto_annotation")
driver = pytest.importorskip("cvat_sdk.auto_annotation.driver")


def cvat_function():
    """The module, imported by its name as cvat-cli does it."""
    return importlib.import_module("localize.viewing.live.cvat_function")


@pytest.fixture(scope="module")
def function(bundle):
    return cvat_function().create(model=str(bundle), max_boxes=4, device="cpu")


def context(threshold):
    class Context(cvataa.DetectionFunctionContext):
        frame_name = "film.png"
        conf_threshold = threshold
        conv_mask_to_poly = False

    return Context()


def dataset_labels(spec):
    """The task's labels as CVAT would hold them: other ids, the same names."""
    return [
        SimpleNamespace(
            id=label.id + 500,
            name=label.name,
            type="rectangle",
            sublabels=[],
            attributes=[
                SimpleNamespace(
                    id=one.id + 900,
                    name=one.name,
                    input_type=cvataa.interface.models.InputTypeEnum(str(one.input_type)),
                    values=one.values,
                )
                for one in label.attributes
            ],
        )
        for label in spec.labels
    ]


def test_spec_passes_the_sdk_s_validation(function):
    (label,) = function.spec.labels
    assert (label.name, label.type) == ("opacity", "rectangle")
    names = [attribute.name for attribute in label.attributes]
    assert names == ["score", *function._model.keywords]


def test_boxes_lie_inside_the_frame_and_carry_their_score(function, film):
    image = Image.open(film)
    shapes = function.detect(context(0.0), image)
    annotated = function._model.predict(image)
    assert 0 < len(shapes) <= 4
    assert [list(shape.points) for shape in shapes] == annotated.boxes.xyxy.tolist()
    scores = [float(shape.attributes[0].value) for shape in shapes]
    assert scores == pytest.approx(annotated.scores.tolist(), abs=5e-5)


@pytest.mark.parametrize(
    ("threshold", "scores", "reason"),
    [
        (0.0, [0.9, 0.5, 0.02], "all"),
        (0.5, [0.9, 0.5], "the threshold itself is kept"),
        (1.0, [], "none"),
        (None, [0.9, 0.5], "our own least score"),
    ],
)
def test_threshold_of_the_tool_is_kept(threshold, scores, reason):
    class Planted:
        keywords = ("left", "lower")

        def predict(self, image):
            boxes = np.array([[0, 0, 10, 10], [5, 5, 50, 60], [1, 1, 9, 9]], float)
            return FilmPrediction(
                image_id="film",
                path="",
                boxes=Boxes(boxes, 100, 100),
                scores=np.array([0.9, 0.5, 0.02]),
                alphas=np.full(3, np.nan),
                detector_scores=np.full(3, np.nan),
                labels=("opacity",) * 3,
                box_attributes=(("left",), (), ("left", "lower")),
            )

    shapes = (
        cvat_function()
        .CvatFunction(Planted(), "opacity")
        .detect(context(threshold), Image.new("L", (9, 9)))
    )
    assert [float(shape.attributes[0].value) for shape in shapes] == scores, reason
    if shapes:
        assert [one.value for one in shapes[0].attributes[1:]] == ["true", "false"]


def test_annotations_pass_the_driver_that_maps_them_to_a_task(function, film):
    mapper = driver._AnnotationMapper(
        logging.getLogger("test"),
        function.spec.labels,
        dataset_labels(function.spec),
        allow_unmatched_labels=False,
        conv_mask_to_poly=False,
    )
    shapes = list(function.detect(context(0.0), Image.open(film)))
    count = len(shapes)
    tags, shapes = mapper.validate_and_remap(shapes, 7)
    assert tags == []
    assert len(shapes) == count > 0
    assert {shape.frame for shape in shapes} == {7}
    assert {shape.label_id for shape in shapes} == {500}
    assert min(one.spec_id for one in shapes[0].attributes) == 900
