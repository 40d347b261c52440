"""`TrainedElsewhere`: a detector that another command adapted, ranked by its own score."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from data_manifests.support.errors import ConfigError
from experiments.methods.film_rois import FilmRois, rank_test_rois
from experiments.methods.inputs import ExperimentInput
from experiments.methods.method import Method, TrainedMethod
from localize.adaptation.adapt_detector import Source


class TrainedElsewhere(Method):
    """The detector of `experiment siim train`; as `ReportAdapted`, but trained on a GPU."""

    trains_detector: ClassVar[bool] = True
    kind: Literal["trained_elsewhere"] = "trained_elsewhere"
    source: Source = Field("places", description="where the boxes of the new films come from")

    def train(self, inputs: ExperimentInput) -> TrainedMethod:
        """Finds the detector."""
        detector = adapted_detector(inputs.out, self.source)
        if not (detector / "detector.safetensors").exists():
            raise ConfigError(
                f"{detector}: expected the detector of source {self.source}, got none; run "
                "`pneumoloc experiment siim train`, then `siim unpack`"
            )
        rank = partial(rank_test_rois, inputs, rank=FilmRois.by_score, method=self.name)
        return TrainedMethod(partial(rank, detector=detector))


def adapted_detector(out: Path, source: str) -> Path:
    """The folder of one source's detector in a run's output folder."""
    return out / "adapted" / source / "detector"
