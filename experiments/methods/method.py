"""Methods of the tables: a name and how it makes its prediction of test films."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import Field

from detector.config import Frozen
from experiments.core.road import Road, TestSet
from experiments.methods.heat_maps import HeatKind, require_heat
from experiments.methods.predictions import (
    adapted_attention,
    adapted_detector,
    attention_of_road,
    by_best_available,
    by_bundle,
    by_chance,
    by_detector,
    by_detector_alone,
    by_heat,
    by_lung_prior,
    trained_classifier,
)
from localize.adaptation.adapt_detector import Adaptation
from localize.pipeline.cached import keep_settings
from localize.prediction.tables import Prediction, read_prediction, write_prediction
from localize.training.settings import LocalizerSettings, localizer_settings

BASELINE = "retinanet"  # what every other method is compared with
PROPOSED = "proposed"  # ours, compared with its controls, too


@dataclass(frozen=True)
class Method:
    """One row of a table.

    `kind` is what the name stands for: a finished prediction serves this kind alone. `predict`
    makes the prediction of a test set. With `draws` > 1 it is a prediction of as many copies of the
    films (`repeated_manifest`). `bundle` gives the model bundle, None without one. `prepare` trains
    what is trained for this method; of what is there it refuses other settings. Methods of one
    `part` write a common folder: only one of them may run at a time. One that `adapts` trains the
    detector further; beside `PROPOSED` these are its controls.
    """

    name: str
    kind: str
    part: str
    predict: Callable[[Road, TestSet], Prediction]
    draws: int = 1
    bundle: Callable[[Road], Path] | None = None
    prepare: Callable[[Road], Path] | None = None
    adapts: bool = False


class MethodSpec(Frozen):
    """A method in a preset: which kind under which name, and its settings."""

    name: str
    kind: Literal[
        "heat",
        "detector",
        "attention",
        "adapted",
        "adapted_detector",
        "lung_prior",
        "roi_chance",
        "best_available",
    ]
    heat: HeatKind = Field("cam", description="kind heat: cam or gradcam")
    preset: str | None = Field(None, description="kind attention: a preset of `localize train`")
    set: tuple[str, ...] = Field((), description="kind attention: settings as --set takes them")
    adaptation: Adaptation = Field(
        Adaptation(), description="kinds adapted...: how the detector learns from the pairs first"
    )
    draws: int = Field(5, ge=1, description="kind roi_chance: orders drawn")


def build_method(spec: MethodSpec) -> Method:
    """The method of a specification.

    Raises:
        ConfigError: bad settings, or a package that is not installed.
    """
    if spec.kind == "heat":
        require_heat(spec.heat)
        predict = partial(by_heat, kind=spec.heat)
        return Method(spec.name, spec.heat, "classifier", predict, prepare=trained_classifier)
    if spec.kind == "detector":
        return Method(spec.name, spec.kind, "test_regions", by_detector_alone)
    if spec.kind == "lung_prior":
        return Method(spec.name, spec.kind, spec.name, by_lung_prior)
    if spec.kind == "roi_chance":
        chance = partial(by_chance, draws=spec.draws)
        kind = f"{spec.kind}, draws {spec.draws}"
        return Method(spec.name, kind, "test_regions", chance, draws=spec.draws)
    if spec.kind == "best_available":
        return Method(spec.name, spec.kind, "test_regions", by_best_available)
    if spec.kind == "adapted_detector":
        detector = partial(adapted_detector, name=spec.name, adaptation=spec.adaptation)
        predict = partial(by_detector, name=spec.name, detector=detector)
        return Method(spec.name, spec.kind, spec.name, predict, prepare=detector, adapts=True)
    settings = localizer_settings(spec.preset, None, list(spec.set))
    if spec.kind == "adapted":
        return adapted_method(spec.name, spec.adaptation, settings)
    return attention_method(spec.name, settings)


def attention_method(name: str, settings: LocalizerSettings) -> Method:
    """The method of the paper under some settings; each run trains it with its own seed."""
    bundle = partial(attention_of_road, name=name, settings=settings)
    return _bundle_method(name, "attention", bundle)


def adapted_method(name: str, adaptation: Adaptation, settings: LocalizerSettings) -> Method:
    """The detector adapted to the films with reports, then attention on its regions."""
    bundle = partial(adapted_attention, name=name, adaptation=adaptation, settings=settings)
    return replace(_bundle_method(name, "adapted", bundle), adapts=True)


def _bundle_method(name: str, kind: str, bundle: Callable[[Road], Path]) -> Method:
    predict = partial(by_bundle, bundle=bundle)
    return Method(name, kind, name, predict, bundle=bundle, prepare=bundle)


def method_prediction(method: Method, road: Road, test: TestSet) -> Prediction:
    """A method's prediction of a test set, made where it is not there yet.

    Raises:
        ConfigError: what is there was made by another kind of method, or with other settings.
    """
    place = road.place / method.name
    keep_settings(place / "method.json", {"kind": method.kind})
    folder = place / test.folder
    if not (folder / "prediction.json").exists():
        write_prediction(method.predict(road, test), folder)
    elif method.prepare is not None:
        method.prepare(road)  # refuses what was made with other settings
    return read_prediction(folder)
