"""`PredictOptions`: how films are predicted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

from data_manifests.support.errors import ConfigError
from detector.proposals import ProposalOptions
from localize.bundle.prevalence import check_prevalence
from localize.inference.choices import Engine, Precision, Ranking


@dataclass(frozen=True)
class PredictOptions:
    """How films are predicted.

    Args:
        max_boxes: at most so many boxes for each film.
        min_score: boxes with a lower score are left out.
        skip_errors: an unreadable film becomes a `SkippedFilm`; else it stops the run.
        ranking: orders boxes by the localizer's alpha. `detector` orders them by the detector's
            own score: RetinaNet alone, the baseline. Scores are then the detector's, and there is
            no severity, which is fitted on the localizer's scores.
        batch_size: films that go through the networks together.
        proposals: how regions are proposed.
        engine: runs the detector's convolutions: PyTorch, ONNX Runtime, or PyTorch in the
            processes of a Ray cluster.
        precision: of the detector's convolutions.
        prevalence: the share of the films that show an opacity, for P(pneumonia); by default that
            of the bundle's calibration.
        verify: compare films with the `sha256` of their manifest where it has one.

    Raises:
        ConfigError: a number out of range or an unknown word.
    """

    max_boxes: int = 10
    min_score: float = 0.0
    skip_errors: bool = False
    ranking: Ranking = "localizer"
    batch_size: int = 8
    proposals: ProposalOptions = field(default_factory=ProposalOptions)
    engine: Engine = "torch"
    precision: Precision = "float32"
    verify: bool = True
    prevalence: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_boxes", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if self.prevalence is not None:
            check_prevalence(self.prevalence)
        if not 0 <= self.min_score <= 1:
            raise ConfigError(f"min_score: expected 0 to 1, got {self.min_score}")
        for name, words in (("engine", Engine), ("precision", Precision), ("ranking", Ranking)):
            if getattr(self, name) not in get_args(words):
                raise ConfigError(
                    f"{name}: expected {' or '.join(get_args(words))}, got {getattr(self, name)!r}"
                )
        if self.engine == "onnx" and self.precision != "float32":
            raise ConfigError("precision: expected float32 with engine onnx, got bfloat16")
