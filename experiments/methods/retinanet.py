"""`RetinaNet`: the detector alone, the baseline of all tables."""

from __future__ import annotations

from functools import partial
from typing import Literal

from experiments.methods.film_rois import FilmRois, rank_test_rois
from experiments.methods.inputs import ExperimentInput
from experiments.methods.method import Method, TrainedMethod


class RetinaNet(Method):
    """The detector's ROIs, ranked by its own score."""

    kind: Literal["detector"] = "detector"

    def train(self, inputs: ExperimentInput) -> TrainedMethod:
        """Nothing is trained."""
        return TrainedMethod(
            partial(rank_test_rois, inputs, rank=FilmRois.by_score, method=self.name)
        )
