"""`Road` and `TestSet`: what every method of the tables starts from, and what it is tested on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from data_manifests.tables.manifest import Manifest
from detector.proposals import ProposalOptions
from experiments.methods.classifier import ClassifierSettings
from localize.pipeline.stages import PairParts


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
