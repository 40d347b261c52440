"""`Oracle`: the detector's ROIs that overlap the true boxes most, the ceiling of any ranking."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
from scipy.optimize import linear_sum_assignment

from data_manifests.boxes import iou_matrix
from data_manifests.support.arrays import Floats
from experiments.methods.box_prediction import scored_film
from experiments.methods.film_rois import FilmRois, rank_test_rois
from experiments.methods.inputs import ExperimentInput, TestSet
from experiments.methods.method import Method, TrainedMethod
from localize.prediction.film_prediction import FilmPrediction
from localize.prediction.tables import Prediction

# Each true box takes one ROI: as many matches at these IoUs as possible, then the highest IoU.
THRESHOLD_VALUES = ((0.25, 1.0), (0.5, 1.0), (0.75, 1.0))
OVERLAP_VALUE = 1e-3


class Oracle(Method):
    """One ROI for each true box, with its IoU as score. Films without true boxes get none."""

    kind: Literal["best_available"] = "best_available"

    def train(self, inputs: ExperimentInput) -> TrainedMethod:
        """Nothing is trained."""
        return TrainedMethod(partial(_predict, inputs))


def _predict(inputs: ExperimentInput, test: TestSet) -> Prediction:
    true_boxes = test.films.boxes_by_image()

    def choose(film: FilmRois) -> FilmPrediction:
        return oracle_choice(film, true_boxes.get(film.image_id, np.zeros((0, 4))))

    return rank_test_rois(inputs, test, choose, "best_available")


def oracle_choice(film: FilmRois, true_boxes: Floats) -> FilmPrediction:
    """The film's ROIs assigned to its true boxes (G, 4), scored by their IoU."""
    if not len(film.xyxy) or not len(true_boxes):
        return scored_film(film.image_id, film.width, film.height, np.zeros((0, 4)), np.zeros(0))
    overlap = iou_matrix(film.xyxy, true_boxes)
    value = OVERLAP_VALUE * overlap
    for threshold, points in THRESHOLD_VALUES:
        value = value + points * (overlap >= threshold)
    rows, columns = linear_sum_assignment(value, maximize=True)
    return scored_film(
        film.image_id, film.width, film.height, film.xyxy[rows], overlap[rows, columns]
    )
