"""Presets of the experiments: YAML files under `experiments/presets`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TypeVar

from pydantic import Field

from data_manifests.support.errors import ConfigError
from data_manifests.support.settings import load_settings
from detector.config import DetectorConfig, DetectorTrainConfig, Frozen
from detector.feature_kind import FeatureKind
from experiments.core.phantom_seed import PhantomRun
from experiments.methods.all_methods import AnyMethod
from experiments.methods.classifier import ClassifierSettings
from experiments.methods.method import Method
from experiments.methods.proposed import Proposed
from localize.adaptation.adapt_detector import Adaptation, Source
from localize.pipeline.phantom_stages import PhantomSize

PRESETS = ("phantom", "open", "dictation", "siim", "paper")


class Vectors(Frozen):
    """Word vectors of a run."""

    dim: int = Field(128, ge=2)
    epochs: int = Field(0, ge=0, description="0: by the size of the corpus")


class PhantomPreset(Frozen):
    """Phantom films, generated for each seed."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    size: PhantomSize = PhantomSize()
    classifier: ClassifierSettings = ClassifierSettings()
    adaptation: Adaptation = Adaptation()
    methods: tuple[AnyMethod, ...]

    def run(self, out: Path, *, shift: float | None = None, pairs: int | None = None) -> PhantomRun:
        """The run of this preset in an output folder."""
        return PhantomRun(out, self.size, self.classifier, self.adaptation, shift, pairs)


class ManifestPreset(Frozen):
    """Films from manifests: one seed, one detector."""

    seed: int = 0
    trainings: int = Field(
        1,
        ge=1,
        description="repeats of each method that trains the detector further, each with its seed",
    )
    packaged_detector: bool = Field(
        False, description="the detector and word vectors of open_lite0, instead of own trainings"
    )
    detector: DetectorConfig
    detector_training: DetectorTrainConfig = DetectorTrainConfig()
    vectors: Vectors = Vectors()
    classifier: ClassifierSettings = ClassifierSettings()
    adaptation: Adaptation = Adaptation()
    chosen_boxes: tuple[Source, ...] = Field(
        (), description="sources whose pseudo-boxes are compared with the pairs' true boxes"
    )
    methods: tuple[AnyMethod, ...]

    def repeated_methods(self) -> tuple[Method, ...]:
        """The methods; those that train the detector further repeat `trainings` times."""
        return tuple(
            one.model_copy(update={"repeats": self.trainings}) if one.trains_detector else one
            for one in self.methods
        )


class Variation(Frozen):
    """One row of the ablation: how it differs from the reference.

    `set` changes the attention, `count` (the paper's N) and `feature` the ROIs, `dim` the word
    vectors.
    """

    name: str
    set: tuple[str, ...] = ()
    count: int | None = Field(None, ge=1)
    feature: FeatureKind | None = None
    dim: int | None = Field(None, ge=2)


class AblationPreset(Frozen):
    """A reference method and its variations."""

    seeds: tuple[int, ...] = (0, 1)
    size: PhantomSize = PhantomSize()
    reference: Proposed
    variations: tuple[Variation, ...]


class CurvesPreset(PhantomPreset):
    """Two curves over the same methods: against the shift, and against the number of pairs."""

    shifts: tuple[float, ...]
    pairs: tuple[int, ...]


Preset = TypeVar("Preset", PhantomPreset, ManifestPreset, AblationPreset, CurvesPreset)


def read_preset(model: type[Preset], name: str, overrides: Sequence[str] = ()) -> Preset:
    """A preset file of the package, with `--set` overrides.

    Raises:
        ConfigError: no such preset, or a bad override.
    """
    file = resources.files("experiments.presets") / f"{name}.yaml"
    if not file.is_file():
        raise ConfigError(f"--preset: expected one of {', '.join(PRESETS)}, got {name!r}")
    with resources.as_file(file) as path:
        return load_settings(model, path, overrides)
