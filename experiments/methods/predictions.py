"""How each kind of method makes its prediction of test films: `by_heat`, `by_bundle`, ...

Functions of the module, not closures: they go to other processes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from data_manifests.support.other_settings import refuse_other_settings
from detector.roi_store import RoiStore
from experiments.core.road import Road, TestSet
from experiments.methods.classifier import load_classifier
from experiments.methods.heat_boxes import choose_heat_rule, heat_prediction
from experiments.methods.heat_maps import HeatKind, film_heats
from experiments.methods.lung_prior import fit_lung_prior, prior_prediction
from experiments.methods.region_choice import (
    best_available_prediction,
    chance_prediction,
    score_prediction,
)
from experiments.methods.train_classifier import RESULT, train_classifier
from localize.adaptation.adapt_detector import Adaptation, AdaptationData
from localize.bundle.bundle import load_bundle, read_json
from localize.inference.film_list import manifest_films
from localize.inference.options import PredictOptions
from localize.inference.predict_films import predict_films
from localize.pipeline.stages import adapt_detector_stage, propose_stage, train_bundle_stage
from localize.prediction.tables import Prediction
from localize.training.settings import LocalizerSettings

HEAT_BATCH = 16


def attention_of_road(road: Road, *, name: str, settings: LocalizerSettings) -> Path:
    """The bundle of attention trained on the road's pairs, its detector as it is."""
    return train_bundle_stage(
        road.parts,
        road.place / name,
        settings=_seeded(settings, road.seed),
        device=road.device,
    )


def adapted_attention(
    road: Road, *, name: str, adaptation: Adaptation, settings: LocalizerSettings
) -> Path:
    """The bundle of a detector that has learned from the pairs, and of attention on its regions."""
    place, parts = road.place / name, road.parts
    detector = adapted_detector(road, name=name, adaptation=adaptation)
    rois = propose_stage(detector, parts.pairs, place / "rois", device=road.device)
    adapted = replace(parts, detector=detector, rois=rois)
    return train_bundle_stage(
        adapted, place, settings=_seeded(settings, road.seed), device=road.device
    )


def adapted_detector(road: Road, *, name: str, adaptation: Adaptation) -> Path:
    """The run's detector after the adaptation."""
    parts = road.parts
    # Epochs are selected on the new hospital's labels; the control has none and takes the old ones.
    boxed = road.boxed if adaptation.source == "none" else road.boxed.split("train")
    data = AdaptationData(
        detector=parts.detector,
        boxed=boxed,
        pairs=parts.pairs,
        rois=parts.rois,
        attributes=parts.attributes,
    )
    training = adaptation.training.model_copy(update={"seed": road.seed})
    return adapt_detector_stage(
        data,
        road.place / name / "detector_1",
        adaptation=adaptation.model_copy(update={"training": training}),
        device=road.device,
    )


def by_detector(
    road: Road, test: TestSet, *, name: str, detector: Callable[[Road], Path]
) -> Prediction:
    """The boxes of another detector by its own score."""
    place = road.place / name / f"regions_{test.folder}"
    rois = propose_stage(
        detector(road), test.films, place, options=road.proposals, device=road.device
    )
    with RoiStore(rois) as store:
        return score_prediction(store, test.films, name)


def by_bundle(road: Road, test: TestSet, *, bundle: Callable[[Road], Path]) -> Prediction:
    """The boxes of a whole model."""
    model, options = load_bundle(bundle(road)), PredictOptions(proposals=road.proposals)
    return predict_films(model, manifest_films(test.films), options, road.device)


def _seeded(settings: LocalizerSettings, seed: int) -> LocalizerSettings:
    training = settings.training.model_copy(update={"seed": seed})
    return settings.model_copy(update={"training": training})


def by_detector_alone(road: Road, test: TestSet) -> Prediction:
    """RetinaNet's own boxes."""
    with RoiStore(_test_regions(road, test)) as store:
        return score_prediction(store, test.films, "retinanet")


def trained_classifier(road: Road) -> Path:
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


def by_heat(road: Road, test: TestSet, *, kind: HeatKind) -> Prediction:
    """Boxes of heat maps; classifier and threshold come from the boxed films alone."""
    config = road.classifier.classifier
    classifier = load_classifier(trained_classifier(road), config)
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


def by_lung_prior(road: Road, test: TestSet) -> Prediction:
    """Two boxes on every film."""
    return prior_prediction(fit_lung_prior(road.boxed.split("train")), test.films)


def by_chance(road: Road, test: TestSet, *, draws: int) -> Prediction:
    """The detector's regions in random order."""
    with RoiStore(_test_regions(road, test)) as store:
        return chance_prediction(store, test.films, draws=draws, seed=road.seed)


def by_best_available(road: Road, test: TestSet) -> Prediction:
    """The detector's regions that lie on true boxes."""
    with RoiStore(_test_regions(road, test)) as store:
        return best_available_prediction(store, test.films)


def _test_regions(road: Road, test: TestSet) -> Path:
    """The detector's regions of the test films."""
    place = road.place / "test_regions" / test.folder
    return propose_stage(
        road.parts.detector, test.films, place, options=road.proposals, device=road.device
    )
