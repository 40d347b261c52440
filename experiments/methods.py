"""Methods of the tables: a name and how it makes its prediction of test films."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field

from data_manifests.manifest import Manifest
from detector.config import Frozen
from detector.proposals import ProposalOptions
from detector.roi_store import RoiStore
from experiments.adapt import Adaptation, adapt_detector
from experiments.attention import PairParts, attention_bundle, propose_films
from experiments.baselines.classifier import ClassifierSettings, load_classifier
from experiments.baselines.heat_boxes import choose_heat_rule, heat_prediction
from experiments.baselines.heat_maps import HeatKind, film_heats
from experiments.baselines.lung_prior import fit_lung_prior, prior_prediction
from experiments.baselines.region_choice import (
    best_available_prediction,
    chance_prediction,
    score_prediction,
)
from experiments.baselines.train_classifier import RESULT, train_classifier
from experiments.kept_settings import refuse_other_settings
from localize.bundle import load_bundle, read_json
from localize.config import LocalizeTrainConfig
from localize.film_regions import Ranking
from localize.predict import PredictOptions, manifest_films, predict_films
from localize.prediction import Prediction, read_prediction, write_prediction
from localize.settings import LocalizerSettings, localizer_settings

BASELINE = "retinanet"  # what every other method is compared with
HEAT_BATCH = 16


@dataclass(frozen=True)
class Road:
    """One finished run up to the pairs, and where the methods' own parts go.

    `boxed` has the films with boxes that the detector was trained on, splits train and val; their
    labels train the classifier. `place` holds a folder for each method. `proposals` are the regions
    that prediction ranks.
    """

    parts: PairParts
    boxed: Manifest
    place: Path
    seed: int
    device: torch.device
    classifier: ClassifierSettings
    backbone_weights: Path | None = None
    proposals: ProposalOptions = field(default_factory=ProposalOptions)


@dataclass(frozen=True)
class TestSet:
    """Test films: their name in the table, and the folder of their predictions in a method's."""

    __test__ = False  # not a test for pytest

    name: str
    folder: str
    films: Manifest


@dataclass(frozen=True)
class Method:
    """One row of a table.

    `predict` makes the prediction of a test set. With `draws` > 1 it is a prediction of as many
    copies of the films (`repeated_manifest`). `bundle` gives the model bundle, None without one.
    `prepare` trains what is trained for this method; of what is there it refuses other settings.
    Methods of one `part` write a common folder: only one of them may run at a time.
    """

    name: str
    part: str
    predict: Callable[[Road, TestSet], Prediction]
    draws: int = 1
    bundle: Callable[[Road], Path] | None = None
    prepare: Callable[[Road], Path] | None = None


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
        ConfigError: bad settings.
    """
    if spec.kind == "heat":
        predict = partial(_heat, kind=spec.heat)
        return Method(spec.name, "classifier", predict, prepare=_classifier)
    if spec.kind == "detector":
        return Method(spec.name, "detector_alone", _detector_alone)
    if spec.kind == "lung_prior":
        return Method(spec.name, spec.name, _lung_prior)
    if spec.kind == "roi_chance":
        chance = partial(_chance, draws=spec.draws)
        return Method(spec.name, "test_regions", chance, draws=spec.draws)
    if spec.kind == "best_available":
        return Method(spec.name, "test_regions", _best_available)
    if spec.kind == "adapted_detector":
        detector = partial(_adapted_detector, name=spec.name, adaptation=spec.adaptation)
        predict = partial(_by_detector, name=spec.name, detector=detector)
        return Method(spec.name, spec.name, predict, prepare=detector)
    settings = localizer_settings(spec.preset, None, list(spec.set))
    if spec.kind == "adapted":
        return adapted_method(spec.name, spec.adaptation, settings)
    return attention_method(spec.name, settings)


def attention_method(name: str, settings: LocalizerSettings) -> Method:
    """The method of the paper under some settings; each run trains it with its own seed."""
    return _bundle_method(name, partial(_attention, name=name, settings=settings))


def adapted_method(name: str, adaptation: Adaptation, settings: LocalizerSettings) -> Method:
    """The detector adapted to the films with reports, then attention on its regions."""
    return _bundle_method(
        name, partial(_adapted, name=name, adaptation=adaptation, settings=settings)
    )


# Methods are built from functions of the module, not from closures: they go to other processes.
def _bundle_method(name: str, bundle: Callable[[Road], Path]) -> Method:
    predict = partial(_by_own_bundle, bundle=bundle)
    return Method(name, name, predict, bundle=bundle, prepare=bundle)


def _attention(road: Road, *, name: str, settings: LocalizerSettings) -> Path:
    return attention_bundle(
        road.parts, _seeded(settings, road.seed), road.place / name, road.device
    )


def _adapted(road: Road, *, name: str, adaptation: Adaptation, settings: LocalizerSettings) -> Path:
    place, parts = road.place / name, road.parts
    detector = _adapted_detector(road, name=name, adaptation=adaptation)
    rois = propose_films(detector, parts.pairs, place / "rois", road.device)
    adapted = replace(parts, detector=detector, rois=rois)
    return attention_bundle(adapted, _seeded(settings, road.seed), place, road.device)


def _adapted_detector(road: Road, *, name: str, adaptation: Adaptation) -> Path:
    parts = road.parts
    return adapt_detector(
        parts.detector,
        road.boxed,
        parts.pairs,
        parts.rois,
        parts.attributes,
        road.place / name,
        adaptation=adaptation,
        seed=road.seed,
        device=road.device,
    )


def _by_detector(
    road: Road, test: TestSet, *, name: str, detector: Callable[[Road], Path]
) -> Prediction:
    """A detector's own boxes, without a bundle."""
    place = road.place / name / f"regions_{test.folder}"
    rois = propose_films(detector(road), test.films, place, road.device, road.proposals)
    with RoiStore(rois) as store:
        return score_prediction(store, test.films, name)


def _by_own_bundle(road: Road, test: TestSet, *, bundle: Callable[[Road], Path]) -> Prediction:
    return _by_bundle(road, test, bundle(road), "localizer")


def _seeded(settings: LocalizerSettings, seed: int) -> LocalizerSettings:
    training = settings.training.model_copy(update={"seed": seed})
    return settings.model_copy(update={"training": training})


def method_prediction(method: Method, road: Road, test: TestSet) -> Prediction:
    """A method's prediction of a test set, made where it is not there yet."""
    folder = road.place / method.name / test.folder
    if not (folder / "prediction.json").exists():
        write_prediction(method.predict(road, test), folder)
    elif method.prepare is not None:
        method.prepare(road)  # refuses what was made with other settings
    return read_prediction(folder)


def _by_bundle(road: Road, test: TestSet, bundle: Path, ranking: Ranking) -> Prediction:
    options = PredictOptions(ranking=ranking, proposals=road.proposals)
    return predict_films(load_bundle(bundle), manifest_films(test.films), options, road.device)


def _detector_alone(road: Road, test: TestSet) -> Prediction:
    """RetinaNet's own boxes. A bundle needs a localizer: this one is not asked."""
    settings = LocalizerSettings(training=LocalizeTrainConfig(seed=road.seed, epochs=1))
    bundle = attention_bundle(road.parts, settings, road.place / "detector_alone", road.device)
    return _by_bundle(road, test, bundle, "detector")


def _classifier(road: Road) -> Path:
    """The classifier of the heat maps, from the boxed films alone."""
    run = road.place / "classifier"
    training = road.classifier.training.model_copy(update={"seed": road.seed})
    settings = road.classifier.model_copy(update={"training": training})
    if (run / RESULT).exists():
        made, wanted = read_json(run / RESULT), settings.model_dump(mode="json")
        refuse_other_settings(run, made, wanted)
        return run
    train_classifier(
        road.boxed.split("train"),
        road.boxed.split("val"),
        run,
        settings=settings,
        backbone_weights=road.backbone_weights,
        device=road.device,
    )
    return run


def _heat(road: Road, test: TestSet, *, kind: HeatKind) -> Prediction:
    """Boxes of heat maps; classifier and threshold come from the boxed films alone."""
    config = road.classifier.classifier
    classifier = load_classifier(_classifier(road), config)
    val = road.boxed.split("val")
    val = val.subset(val.images["image_id"].isin(set(val.boxes["image_id"])))
    tuning, films = (
        list(
            film_heats(
                classifier,
                part,
                kind,
                image_size=config.image_size,
                batch_size=HEAT_BATCH,
                device=road.device,
            )
        )
        for part in (val, test.films)
    )
    return heat_prediction(films, choose_heat_rule(tuning, val), kind)


def _lung_prior(road: Road, test: TestSet) -> Prediction:
    return prior_prediction(fit_lung_prior(road.boxed.split("train")), test.films)


def _chance(road: Road, test: TestSet, *, draws: int) -> Prediction:
    with RoiStore(_test_regions(road, test)) as store:
        return chance_prediction(store, test.films, draws=draws, seed=road.seed)


def _best_available(road: Road, test: TestSet) -> Prediction:
    with RoiStore(_test_regions(road, test)) as store:
        return best_available_prediction(store, test.films)


def _test_regions(road: Road, test: TestSet) -> Path:
    """The detector's regions of the test films."""
    place = road.place / "test_regions" / test.folder
    return propose_films(road.parts.detector, test.films, place, road.device, road.proposals)
