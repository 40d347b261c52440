"""`AttentionPreset`: seeds, films and trainings of the controlled experiment on gates."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Literal

from pydantic import Field

from data_manifests.support.settings import load_settings
from detector.config import Frozen
from localize.adaptation.adapt_detector import Adaptation
from localize.adaptation.report_teacher import Teacher
from localize.pipeline.phantom_stages import PhantomSize
from localize.training.train_gate import GateTraining

GateMethod = Literal[
    "retinanet",
    "size_prior",
    "proposed",
    "own",
    "shuffled",
    "finding",
    "sides",
    "more_steps",
    "truth",
    "two_rounds",
    "soft_targets",
    "with_triplet",
    "with_bce",
    "proposed_printed",
    "best_available",
    "report_adapted",
    "report_adapted_proposed",
    "report_adapted_shuffled",
    "report_adapted_more_steps",
]
FILE = "controlled-attention.yaml"


class AttentionPreset(Frozen):
    """What is run. `methods` of each number of pairs, in the order in which they are done."""

    seeds: tuple[int, ...] = (5, 6, 7, 8, 9)
    films_a: int = Field(600, ge=10)
    films_b: int = Field(11308, ge=1, description="pairs drawn at most, the paper's number")
    films_test: int = Field(1104, ge=6, description="of hospital B, half with an opacity")
    film_px: int = Field(128, ge=64)
    detector_epochs: int = Field(25, ge=1)
    detector_batch: int = Field(16, ge=1)
    gate: GateTraining = GateTraining()
    teacher: Teacher = Teacher()
    adaptation: Adaptation = Field(Adaptation(), description="of the rows `report_adapted`")
    printed_weight: float = Field(0.05, gt=0, description="of a printed loss, where it is added")
    methods: dict[int, tuple[GateMethod, ...]]

    @property
    def size(self) -> PhantomSize:
        """Films and detector as the phantom stages take them."""
        return PhantomSize(
            films_a=self.films_a,
            film_px=self.film_px,
            model_px=self.film_px,
            detector_epochs=self.detector_epochs,
            detector_batch=self.detector_batch,
        )


def read_attention_preset(overrides: Sequence[str] = ()) -> AttentionPreset:
    """The preset of the package, with `--set` overrides.

    Raises:
        ConfigError: a bad override.
    """
    with resources.as_file(resources.files("experiments.presets") / FILE) as path:
        return load_settings(AttentionPreset, path, overrides)
