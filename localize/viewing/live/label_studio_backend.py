"""A Label Studio ML backend, for `label-studio-ml` 2.x (which is on GitHub, not on PyPI).

`create_app("BUNDLE")` is the WSGI application:

    gunicorn --bind 127.0.0.1:9090 "localize.viewing.live.label_studio_backend:create_app('BUNDLE')"
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from label_studio_ml.model import LabelStudioMLBase
from label_studio_ml.response import ModelResponse
from label_studio_sdk.label_interface.objects import PredictionValue

from localize.formats.hub.from_tables import annotation_of_prediction
from localize.formats.tools.label_studio import film_prediction
from localize.viewing.live.label_studio_controls import project_controls

if TYPE_CHECKING:  # torch takes seconds to import
    from localize.inference.model import Model

Row = dict[str, Any]  # Any: a JSON object of Label Studio


class PneumolocBackend(LabelStudioMLBase):  # type: ignore[misc]  # the SDK has no types
    """Proposes boxes for the tasks of a project. `create_app` sets `model` and its `label`."""

    model: ClassVar[Model]
    label: ClassVar[str]

    def setup(self) -> None:
        """Name the bundle to Label Studio as the model version."""
        self.set("model_version", self.model.bundle_id[:12])

    def predict(
        self, tasks: Sequence[Row], context: Row | None = None, **kwargs: object
    ) -> ModelResponse:
        """One prediction for each task.

        Raises:
            ConfigError: the project's configuration has no rectangles on an image, or other labels.
            DataError: a task's image is no film.
        """
        controls = project_controls(self.label_interface, [self.label])
        predictions = []
        for task in tasks:
            url = task["data"][controls.image_key]
            path = Path(self.get_local_path(url, task_id=task.get("id")))
            film = annotation_of_prediction(self.model.predict(path), path.name)
            made = film_prediction(film, self.model.bundle_id[:12], self.model.keywords)
            made["result"] = controls.renamed(made["result"])
            predictions.append(PredictionValue(**made))
        return ModelResponse(model_version=self.model.bundle_id[:12], predictions=predictions)


def create_app(model: str, *, max_boxes: int = 5, device: str = "auto") -> Any:  # Any: a Flask app
    """The WSGI application for a bundle; one process serves one bundle.

    Raises:
        CheckpointError: not a bundle.
        ConfigError: no such device.
    """
    from label_studio_ml.api import init_app

    from data_manifests.tables.columns import BOX_LABEL
    from detector.run.device import choose_device
    from localize.bundle.bundle import load_bundle
    from localize.inference.model import Model
    from localize.inference.options import PredictOptions

    options = PredictOptions(max_boxes=max_boxes)
    loaded = Model(load_bundle(Path(model)), options, choose_device(device))
    backend = type("PneumolocBackend", (PneumolocBackend,), {"model": loaded, "label": BOX_LABEL})
    return init_app(model_class=backend)
