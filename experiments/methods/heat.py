"""`HeatMaps`: boxes of CAM or Grad-CAM heat of a film classifier."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import Field

from data_manifests.tables.manifest import Manifest
from experiments.methods.classifier import load_classifier
from experiments.methods.heat_boxes import choose_heat_rule, heat_prediction
from experiments.methods.heat_maps import FilmHeat, HeatKind, film_heats, require_heat
from experiments.methods.inputs import ExperimentInput, TestSet
from experiments.methods.method import Method, TrainedMethod
from experiments.methods.train_classifier import train_classifier
from localize.pipeline.cached import cached
from localize.prediction.tables import Prediction

BATCH = 16


class HeatMaps(Method):
    """Components of thresholded heat; classifier and threshold come from the boxed films."""

    kind: Literal["heat"] = "heat"
    heat: HeatKind = Field("cam", description="cam or gradcam")

    def train(self, inputs: ExperimentInput) -> TrainedMethod:
        """Trains the classifier, which both kinds of heat share."""
        settings = inputs.classifier.with_seed(inputs.training_seed)
        folder = cached(
            inputs.folder("classifier"),
            settings.model_dump(mode="json"),
            lambda out: train_classifier(
                inputs.boxed.split("train"),
                inputs.boxed.split("val"),
                out,
                settings=settings,
                backbone_weights=inputs.backbone_weights,
                device=inputs.device,
            ),
        )
        return TrainedMethod(partial(_predict, inputs, folder, self.heat))

    def check_installed(self) -> None:
        """Grad-CAM is a package of its own."""
        require_heat(self.heat)


def _predict(
    inputs: ExperimentInput, classifier_folder: Path, kind: HeatKind, test: TestSet
) -> Prediction:
    config = inputs.classifier.classifier
    classifier = load_classifier(classifier_folder, config)

    def heats(films: Manifest) -> list[FilmHeat]:
        return list(
            film_heats(
                classifier,
                films,
                kind,
                image_size=config.image_size,
                batch_size=BATCH,
                device=inputs.device,
            )
        )

    val = inputs.boxed.split("val")
    val = val.subset(val.images["image_id"].isin(set(val.boxes["image_id"])))
    return heat_prediction(heats(test.films), choose_heat_rule(heats(val), val), kind)
