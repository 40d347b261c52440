"""`Proposed`: attention on a frozen detector's ROIs, trained on film-report pairs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from detector.config import Frozen
from experiments.methods.film_rois import FilmRois, rank_test_rois
from experiments.methods.inputs import ExperimentInput, TestSet
from experiments.methods.method import Method, TrainedMethod
from localize.bundle.bundle import load_bundle
from localize.inference.film_list import manifest_films
from localize.inference.options import PredictOptions
from localize.inference.predict_films import predict_films
from localize.pipeline.stages import PairParts, propose_stage, train_bundle_stage
from localize.prediction.tables import Prediction
from localize.training.settings import LocalizerSettings, localizer_settings


class AttentionSettings(Frozen):
    """Settings of the attention, as `localize train` takes them."""

    preset: str | None = Field(None, description="a preset of `localize train`")
    set: tuple[str, ...] = Field((), description="settings as `--set` takes them")

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.with_seed(0)
        return self

    def with_seed(self, seed: int) -> LocalizerSettings:
        """The settings of one training."""
        return localizer_settings(self.preset, None, [*self.set, f"training.seed={seed}"])


class Proposed(Method):
    """Attention on the ROIs of the detector as it is; with `preset: paper` the printed form."""

    kind: Literal["attention"] = "attention"
    reads_pairs: ClassVar[bool] = True
    attention: AttentionSettings = AttentionSettings()

    def train(self, inputs: ExperimentInput) -> TrainedMethod:
        """Train the attention."""
        return train_attention(inputs, inputs.parts, self.attention, inputs.folder(self.name))


def train_attention(
    inputs: ExperimentInput, parts: PairParts, settings: AttentionSettings, folder: Path
) -> TrainedMethod:
    """Attention on the ROIs of `parts`, trained and packed as a bundle in `folder`."""
    seeded = settings.with_seed(inputs.training_seed)
    bundle = train_bundle_stage(parts, folder, settings=seeded, device=inputs.device)
    return TrainedMethod(partial(_predict, inputs, bundle), bundle)


def rank_on_detector(
    inputs: ExperimentInput, detector: Path, attention: AttentionSettings | None, name: str
) -> TrainedMethod:
    """Method `name` ranks the ROIs of a detector of its own: by the detector's score, or by an
    attention trained on them."""
    if attention is None:
        rank = partial(rank_test_rois, inputs, rank=FilmRois.by_score, method=name)
        return TrainedMethod(partial(rank, detector=detector))
    pairs = inputs.parts.pairs
    rois = propose_stage(detector, pairs, detector.parent / "rois_pairs", device=inputs.device)
    parts = replace(inputs.parts, detector=detector, rois=rois)
    return train_attention(inputs, parts, attention, inputs.folder(name))


def _predict(inputs: ExperimentInput, bundle: Path, test: TestSet) -> Prediction:
    options = PredictOptions(proposals=inputs.proposals)
    films = manifest_films(test.films)
    return predict_films(load_bundle(bundle), films, options, inputs.device)
