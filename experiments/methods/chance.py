"""`Chance`: the detector's ROIs in random order."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np

from experiments.methods.box_prediction import box_prediction
from experiments.methods.film_rois import FilmRois, film_rois
from experiments.methods.inputs import ExperimentInput, TestSet
from experiments.methods.method import Method, TrainedMethod
from localize.prediction.film_prediction import FilmPrediction
from localize.prediction.tables import Prediction


class Chance(Method):
    """Random scores for the detector's ROIs; `repeats` orders."""

    kind: Literal["roi_chance"] = "roi_chance"
    repeats: int = 5

    def train(self, inputs: ExperimentInput) -> TrainedMethod:
        """Nothing is trained."""
        return TrainedMethod(partial(_predict, inputs))


def _predict(inputs: ExperimentInput, test: TestSet) -> Prediction:
    films = film_rois(inputs, test.films, test.folder)
    ranked = rank_at_random(films, seed=inputs.seed, repeat=inputs.repeat)
    return box_prediction(ranked, "roi_chance", {"seed": inputs.seed, "repeat": inputs.repeat})


def rank_at_random(films: list[FilmRois], *, seed: int, repeat: int) -> list[FilmPrediction]:
    """Each film's ROIs under uniform random scores, suppressed as in prediction."""
    return [
        film.ranked(np.random.default_rng((seed, repeat, number)).random(len(film.xyxy)))
        for number, film in enumerate(films)
    ]
