"""A Label Studio ML backend, for `label-studio-ml` 2.x (which is on GitHub, not on PyPI).

`create_app("BUNDLE")` is the WSGI application:

    gunicorn --bind 127.0.0.1:9090 "localize.viewing.live.label_studio_backend:create_app('BUNDLE')"
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from label_studio_ml.model import LabelStudioMLBase
from label_studio_ml.response import ModelResponse
from label_studio_sdk.label_interface.objects import PredictionValue

from localize.formats.tools.label_studio import film_prediction
from localize.viewing.live.label_studio_controls import project_controls
from localize.viewing.live.live_model import LiveModel

Row = dict[str, Any]  # Any: a JSON object of Label Studio


class PneumolocBackend(LabelStudioMLBase):  # type: ignore[misc]  # the SDK has no types
    """Proposes boxes for the tasks of a project. `model` is set by `create_app`."""

    model: ClassVar[LiveModel]

    def setup(self) -> None:
        """Tell Label Studio which bundle the proposals come from."""
        self.set("model_version", self.model.version[:12])

    def predict(
        self, tasks: Sequence[Row], context: Row | None = None, **kwargs: object
    ) -> ModelResponse:
        """One prediction for each task.

        Raises:
            ConfigError: the project's configuration has no rectangles on an image, or other labels.
            DataError: a task's image is no film.
        """
        controls = project_controls(self.label_interface, self.model.labels)
        predictions = []
        for task in tasks:
            url = task["data"][controls.image_key]
            film = self.model.annotate(Path(self.get_local_path(url, task_id=task.get("id"))))
            made = film_prediction(film, self.model.version[:12], self.model.keywords)
            made["result"] = controls.renamed(made["result"])
            predictions.append(PredictionValue(**made))
        return ModelResponse(model_version=self.model.version[:12], predictions=predictions)


def create_app(model: str, *, max_boxes: int = 5, device: str = "auto") -> Any:  # Any: a Flask app
    """The WSGI application for a bundle; one process serves one bundle.

    Raises:
        CheckpointError: not a bundle.
        ConfigError: no such device.
    """
    from label_studio_ml.api import init_app

    from detector.run.device import choose_device

    live = LiveModel(Path(model), choose_device(device), max_boxes=max_boxes)
    backend = type("PneumolocBackend", (PneumolocBackend,), {"model": live})
    return init_app(model_class=backend)
