"""Presets of the experiments: what is run, as YAML under `experiments/presets`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import TypeVar

from pydantic import Field

from data_manifests.support.errors import ConfigError
from data_manifests.support.settings import load_settings
from detector.config import DetectorConfig, DetectorTrainConfig, Frozen
from detector.feature_kind import FeatureKind
from experiments.methods.classifier import ClassifierSettings
from experiments.methods.method import MethodSpec
from localize.pipeline.phantom_stages import PhantomSize

PRESETS = ("phantom", "open", "dictation", "paper")


class Vectors(Frozen):
    """Word2Vec of one run."""

    dim: int = Field(128, ge=2)
    epochs: int = Field(0, ge=0, description="0: by the size of the corpus")


class PhantomPreset(Frozen):
    """Phantom films, generated for each seed."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    size: PhantomSize = PhantomSize()
    classifier: ClassifierSettings = ClassifierSettings()
    methods: tuple[MethodSpec, ...]


class FilmsPreset(Frozen):
    """Films from manifests: one seed, one detector."""

    seed: int = 0
    trainings: int = Field(
        1,
        ge=1,
        description="of every adaptation (and its attention), each with a seed of its own and from "
        "the one detector; their numbers are the mean",
    )
    detector: DetectorConfig
    detector_training: DetectorTrainConfig
    vectors: Vectors = Vectors()
    classifier: ClassifierSettings = ClassifierSettings()
    methods: tuple[MethodSpec, ...]


class Variation(Frozen):
    """One row of the ablation: what differs from the reference, which is the row without anything.

    `set` changes the localizer; `count` (the paper's N) and `feature` the regions; `dim` the word
    vectors.
    """

    name: str
    set: tuple[str, ...] = ()
    count: int | None = Field(None, ge=1)
    feature: FeatureKind | None = None
    dim: int | None = Field(None, ge=2)


class AblationPreset(Frozen):
    """References, each with its variations."""

    seeds: tuple[int, ...] = (0, 1)
    size: PhantomSize = PhantomSize()
    reference: MethodSpec
    variations: tuple[Variation, ...]


class CurvesPreset(Frozen):
    """The two curves of the controlled question, each over the same methods."""

    seeds: tuple[int, ...] = (0, 1)
    size: PhantomSize = PhantomSize()
    shifts: tuple[float, ...]
    pairs: tuple[int, ...]
    methods: tuple[MethodSpec, ...]


Preset = TypeVar("Preset", PhantomPreset, FilmsPreset, AblationPreset, CurvesPreset)


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
