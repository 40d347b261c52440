"""The function against cvat-sdk's own interfaces and its driver's checks."""

from __future__ import annotations

import importlib
import logging
from types import SimpleNamespace

import pytest
from PIL import Image

cvataa = pytest.importorskip("cvat_sdk.auto_annotation")
driver = pytest.importorskip("cvat_sdk.auto_annotation.driver")


@pytest.fixture(scope="session")
def function(bundle):
    # As cvat-cli does it: import the module by its name, then call `create`.
    module = importlib.import_module("localize.live.cvat_function")
    return module.create(model=str(bundle), max_boxes=4, device="cpu")


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
    annotated = function._model.annotate_image(image)
    assert 0 < len(shapes) <= 4
    assert [list(shape.points) for shape in shapes] == annotated.xyxy.tolist()
    scores = [float(shape.attributes[0].value) for shape in shapes]
    assert scores == pytest.approx(annotated.scores.tolist(), abs=5e-5)


def test_threshold_of_the_tool_is_kept(function, film):
    image = Image.open(film)
    scores = sorted(float(s.attributes[0].value) for s in function.detect(context(0.0), image))
    above = function.detect(context(scores[-1] - 1e-4), image)
    assert 1 <= len(above) < len(scores)
    assert function.detect(context(1.0), image) == []


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
