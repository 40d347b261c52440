"""`ExperimentInput` and `TestSet`: what methods are trained on, and what they are tested on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from data_manifests.tables.manifest import Manifest
from detector.proposals import ProposalOptions
from experiments.methods.classifier import ClassifierSettings
from localize.adaptation.adapt_detector import Adaptation
from localize.pipeline.stages import PairParts

Progress = Callable[[str], None]  # receives a line for the user


def no_progress(line: str) -> None:
    """The progress callable that shows nothing."""


@dataclass(frozen=True)
class ExperimentInput:
    """The parts and films that all methods of a run share.

    Args:
        parts: trained detector, its ROI store of the film-report pairs, their mined attributes and
            the word vectors.
        boxed: the films with boxes that the detector was trained on, splits train and val.
        out: output folder; each method writes to a folder of its name.
        seed: of the first training of each method.
        device: where networks run.
        classifier: settings of the film classifier behind the heat maps.
        adaptation: how a detector is trained on pseudo-labels; each method sets the source.
        backbone_weights: ImageNet weights for the classifier.
        proposals: options of the ROIs that are ranked at prediction.
        repeat: number of the training or random order, from 0.
    """

    parts: PairParts
    boxed: Manifest
    out: Path
    seed: int
    device: torch.device
    classifier: ClassifierSettings = field(default_factory=ClassifierSettings)
    adaptation: Adaptation = field(default_factory=Adaptation)
    backbone_weights: Path | None = None
    proposals: ProposalOptions = field(default_factory=ProposalOptions)
    repeat: int = 0

    def repeated(self, number: int) -> ExperimentInput:
        """The same input for another training or random order."""
        return replace(self, repeat=number)

    @property
    def training_seed(self) -> int:
        """Seed of this repeat's trainings."""
        return self.seed + self.repeat

    def folder(self, name: str) -> Path:
        """Output folder of a method or trained part in this repeat."""
        return (self.out / f"repeat_{self.repeat}" if self.repeat else self.out) / name


@dataclass(frozen=True)
class TestSet:
    """Test films under the name that the tables use."""

    __test__ = False  # not a test for pytest

    name: str
    films: Manifest

    @property
    def folder(self) -> str:
        """Folder name of a method's predictions of these films."""
        return self.name.replace(" ", "_")
