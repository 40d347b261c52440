"""A CVAT auto-annotation function, for `cvat-cli task auto-annotate --function-module`.

`cvat-cli` calls `create` with its `-p` parameters. The declared attributes are those of the CVAT
export, so a project that was set up for one takes the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cvat_sdk.auto_annotation as cvataa
import numpy as np
from cvat_sdk import models
from PIL import Image

from localize.formats.hub.annotations import FilmAnnotation
from localize.viewing.live.live_model import LiveModel

SCORE_ID = 0  # the attribute that holds the score; keywords follow from 1
DEFAULT_SCORE = 0.05  # where CVAT asks for no threshold


class CvatFunction:
    """What `cvat_sdk.auto_annotation` calls a detection function."""

    def __init__(self, model: LiveModel) -> None:
        self._model = model

    @property
    def spec(self) -> cvataa.DetectionFunctionSpec:
        """The labels with their attributes: a score, and a box to tick for each keyword."""
        attributes = [cvataa.text_attribute_spec("score", SCORE_ID)]
        attributes += [
            cvataa.checkbox_attribute_spec(word, number)
            for number, word in enumerate(self._model.keywords, start=1)
        ]
        return cvataa.DetectionFunctionSpec(
            labels=[
                cvataa.label_spec(label, number, type="rectangle", attributes=attributes)
                for number, label in enumerate(self._model.labels)
            ]
        )

    def detect(
        self, context: cvataa.DetectionFunctionContext, image: Image.Image
    ) -> Sequence[models.LabeledShapeRequest]:
        """The boxes of a frame with a score of at least the threshold that CVAT asks for.

        Raises:
            DataError: the frame is no film.
        """
        least = DEFAULT_SCORE if context.conf_threshold is None else context.conf_threshold
        film = self._model.annotate_image(image)
        return [self._shape(film, box) for box in np.flatnonzero(film.scores >= least).tolist()]

    def _shape(self, film: FilmAnnotation, box: int) -> models.LabeledShapeRequest:
        values = {SCORE_ID: f"{film.scores[box]:.4f}"}
        for number, word in enumerate(self._model.keywords, start=1):
            values[number] = "true" if word in film.keywords[box] else "false"
        return cvataa.rectangle(
            self._model.labels.index(film.labels[box]),
            film.xyxy[box].tolist(),
            attributes=[
                models.AttributeValRequest(spec_id=number, value=value)
                for number, value in values.items()
            ],
        )


def create(model: str, max_boxes: int = 5, device: str = "auto") -> CvatFunction:
    """The function for a bundle: `-p model=str:BUNDLE -p max_boxes=int:5 -p device=str:cpu`."""
    from detector.run.device import choose_device

    return CvatFunction(LiveModel(Path(model), choose_device(device), max_boxes=max_boxes))
