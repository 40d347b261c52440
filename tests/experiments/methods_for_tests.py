"""A method whose predictions are given, for tests of everything after prediction."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from experiments.methods.inputs import ExperimentInput
from experiments.methods.method import Method, TrainedMethod
from localize.pipeline.stages import PairParts
from tests.localize.predictions import random_pair

FILMS = 12


class Given(Method):
    """Predicts `random_pair(0)` with scores drawn by the seed of the training."""

    kind: Literal["given"] = "given"
    setting: int = 0

    def train(self, inputs: ExperimentInput) -> TrainedMethod:
        return TrainedMethod(lambda test: other_scores(inputs.training_seed))


class GivenAdapted(Given):
    """The same, for the roles of methods that train the detector further."""

    trains_detector: ClassVar[bool] = True


class GivenGate(GivenAdapted):
    """A method that stands for one that trains a gate."""

    trains_gate: ClassVar[bool] = True


def other_scores(seed):
    """The boxes of `random_pair(0)` under random scores."""
    prediction, _ = random_pair(0, films=FILMS)
    prediction.boxes["score"] = np.random.default_rng(seed).random(len(prediction.boxes))
    return prediction


def make_inputs(out, *, boxed=None, seed=5, **changes) -> ExperimentInput:
    """An input without trained parts."""
    parts = PairParts(out, out, out, out, None, None, "nothing")
    return ExperimentInput(parts, boxed, out, seed, device=None, **changes)
