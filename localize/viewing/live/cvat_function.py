"""A CVAT auto-annotation function, for `cvat-cli task auto-annotate --function-module`.

`cvat-cli` calls `create` with its `-p` parameters. The declared attributes are those of
`pneumoloc export --format cvat`: a project set up for one takes the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cvat_sdk.auto_annotation as cvataa
import numpy as np
from cvat_sdk import models
from PIL import Image

if TYPE_CHECKING:  # torch takes seconds to import
    from localize.inference.model import Model
    from localize.prediction.film_prediction import FilmPrediction

LABEL_ID = 0
SCORE_ID = 0  # the attribute that holds the score; keywords follow from 1
DEFAULT_SCORE = 0.05  # if CVAT has no threshold


class CvatFunction:
    """A detection function of `cvat_sdk.auto_annotation`.

    Args:
        model: predicts the frames.
        label: of all its boxes.
    """

    def __init__(self, model: Model, label: str) -> None:
        self._model = model
        self._label = label

    @property
    def spec(self) -> cvataa.DetectionFunctionSpec:
        """The label with its attributes: a score, and a check box for each keyword."""
        attributes = [cvataa.text_attribute_spec("score", SCORE_ID)]
        attributes += [
            cvataa.checkbox_attribute_spec(word, number)
            for number, word in enumerate(self._model.keywords, start=1)
        ]
        return cvataa.DetectionFunctionSpec(
            labels=[
                cvataa.label_spec(self._label, LABEL_ID, type="rectangle", attributes=attributes)
            ]
        )

    def detect(
        self, context: cvataa.DetectionFunctionContext, image: Image.Image
    ) -> Sequence[models.LabeledShapeRequest]:
        """The boxes of a frame with a score of at least CVAT's threshold.

        Raises:
            DataError: the frame is no film.
        """
        least = DEFAULT_SCORE if context.conf_threshold is None else context.conf_threshold
        film = self._model.predict(image)
        return [self._shape(film, box) for box in np.flatnonzero(film.scores >= least).tolist()]

    def _shape(self, film: FilmPrediction, box: int) -> models.LabeledShapeRequest:
        values = {SCORE_ID: f"{film.scores[box]:.4f}"}
        for number, word in enumerate(self._model.keywords, start=1):
            values[number] = "true" if word in film.box_attributes[box] else "false"
        return cvataa.rectangle(
            LABEL_ID,
            film.boxes.xyxy[box].tolist(),
            attributes=[
                models.AttributeValRequest(spec_id=number, value=value)
                for number, value in values.items()
            ],
        )


def create(model: str, max_boxes: int = 5, device: str = "auto") -> CvatFunction:
    """The function for a bundle: `-p model=str:BUNDLE -p max_boxes=int:5 -p device=str:cpu`."""
    from data_manifests.tables.columns import BOX_LABEL
    from detector.run.device import choose_device
    from localize.bundle.bundle import load_bundle
    from localize.inference.model import Model
    from localize.inference.options import PredictOptions

    options = PredictOptions(max_boxes=max_boxes)
    return CvatFunction(Model(load_bundle(Path(model)), options, choose_device(device)), BOX_LABEL)
