"""`SizePrior`: the detector's score and the ROI's size, without text and without training."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np
from scipy.special import expit, logit

from data_manifests.tables.manifest import Manifest
from experiments.methods.box_prediction import box_prediction, found_boxes
from experiments.methods.film_rois import FilmRois, film_rois, rank_test_rois
from experiments.methods.inputs import ExperimentInput
from experiments.methods.method import Method, TrainedMethod
from localize.prediction.film_prediction import FilmPrediction

EXPONENTS = tuple(round(0.25 * k, 2) for k in range(-4, 9))  # c from -1 to 2
TINY = 1e-6


class SizePrior(Method):
    """Ranks by logit(score) + c log(share of the film's area).

    c is the one with the highest IoU@.5 on the validation films with boxes.
    """

    kind: Literal["size_prior"] = "size_prior"

    def train(self, inputs: ExperimentInput) -> TrainedMethod:
        """Chooses c."""
        val = inputs.boxed.split("val")
        val = val.subset(val.images["image_id"].isin(set(val.boxes["image_id"])))
        exponent = choose_exponent(film_rois(inputs, val, "val"), val)
        rank = partial(rank_by_size, exponent=exponent)
        return TrainedMethod(partial(rank_test_rois, inputs, rank=rank, method=self.name))


def choose_exponent(films: Sequence[FilmRois], val: Manifest) -> float:
    """The exponent with the highest IoU@.5, then IoU@.25; of equal ones the one nearest to 0."""

    def found(exponent: float) -> tuple[float, float]:
        ranked = [rank_by_size(film, exponent=exponent) for film in films]
        return found_boxes(box_prediction(ranked, "size_prior", {}), val)

    return max(sorted(EXPONENTS, key=abs), key=found)


def rank_by_size(film: FilmRois, *, exponent: float) -> FilmPrediction:
    """The film's ROIs by score times area share ** `exponent` (odds); P(opacity) as RetinaNet."""
    sides = film.xyxy[:, 2:] - film.xyxy[:, :2]
    share = np.maximum(sides.prod(axis=1) / (film.width * film.height), TINY)
    odds = logit(np.clip(film.scores, TINY, 1 - TINY)) + exponent * np.log(share)
    return film.ranked(expit(odds), probability=float(film.scores.max(initial=0)))
