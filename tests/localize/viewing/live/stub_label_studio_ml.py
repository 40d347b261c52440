"""The part of label-studio-ml 2.x that a backend meets, for tests where the SDK is not installed.

It follows `label_studio_ml/model.py` and `response.py` of the SDK (which is on GitHub only): the
same constructor, `setup`, `set`, `label_interface`, `get_local_path`, and `ModelResponse`; the
label interface and the prediction are those of label-studio-sdk.
"""

from __future__ import annotations

import sys
from types import ModuleType

from label_studio_sdk.label_interface import LabelInterface
from label_studio_sdk.label_interface.objects import PredictionValue
from pydantic import BaseModel


class LabelStudioMLBase:
    def __init__(self, project_id=None, label_config=None):
        self.project_id = project_id or ""
        self._kept = {}
        if label_config is not None:
            self.label_interface = LabelInterface(config=label_config)
        self.setup()

    def setup(self):
        pass

    def get(self, key):
        return self._kept.get(key)

    def set(self, key, value):
        self._kept[key] = value

    def get_local_path(self, url, task_id=None):
        return url


class ModelResponse(BaseModel):
    model_config = {"protected_namespaces": ()}
    model_version: str | None = None
    predictions: list[list[PredictionValue] | PredictionValue]


def install(monkeypatch) -> None:
    """Put the stub where the SDK would be imported from."""
    package = ModuleType("label_studio_ml")
    model = ModuleType("label_studio_ml.model")
    model.LabelStudioMLBase = LabelStudioMLBase
    response = ModuleType("label_studio_ml.response")
    response.ModelResponse = ModelResponse
    api = ModuleType("label_studio_ml.api")
    api.init_app = lambda model_class: model_class
    package.model, package.response, package.api = model, response, api
    for module in (package, model, response, api):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.delitem(sys.modules, "localize.viewing.live.label_studio_backend", raising=False)
