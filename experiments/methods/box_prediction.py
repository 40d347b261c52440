"""`box_prediction`: boxes and scores of any method as the tables of a `Prediction`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from data_manifests.boxes import Boxes
from data_manifests.support.arrays import Floats
from data_manifests.tables.columns import BOX_LABEL
from data_manifests.tables.manifest import Manifest
from detector.run.provenance import provenance
from localize.evaluation.evaluate import evaluate
from localize.prediction.film_prediction import FilmPrediction
from localize.prediction.film_tables import prediction_of_films
from localize.prediction.tables import Prediction

MIN_SIDE_PX = 0.5  # as in `predict_films`: thinner boxes cannot be drawn


def scored_film(
    image_id: str,
    width: int,
    height: int,
    xyxy: Floats,
    scores: Floats,
    *,
    probability: float | None = None,
) -> FilmPrediction:
    """A film's boxes (K, 4) in film pixels, best score (K,) first; ties keep their order.

    `probability` is P(opacity) of the film; None where the method states none.
    """
    order = np.argsort(-scores, kind="stable")
    corners, ordered = xyxy[order].round(3), scores[order]
    is_wide = ((corners[:, 2:] - corners[:, :2]) >= MIN_SIDE_PX).all(axis=1)
    unknown = np.full(int(is_wide.sum()), np.nan)
    return FilmPrediction(
        image_id=image_id,
        path="",
        boxes=Boxes(corners[is_wide], width, height),
        scores=ordered[is_wide],
        alphas=unknown,
        detector_scores=unknown,
        labels=(BOX_LABEL,) * len(unknown),
        box_attributes=((),) * len(unknown),
        p_pneumonia=probability,
    )


def box_prediction(
    films: Sequence[FilmPrediction], method: str, options: Mapping[str, Any]
) -> Prediction:
    """The tables of films without attributes; `options` go to `prediction.json`."""
    info = {"method": method, "options": dict(options), "provenance": provenance()}
    made = prediction_of_films(films, (), info)
    unknown = dict.fromkeys(("p_pneumonia", "severity"), "float64")  # None in every row of some
    return replace(made, images=made.images.astype(unknown))


def found_boxes(prediction: Prediction, films: Manifest) -> tuple[float, float]:
    """IoU@.5 and IoU@.25, to choose a setting on validation films; 0 where undefined."""
    result = evaluate(prediction, films, replicates=0)
    return result.value("iou_at_0.5") or 0.0, result.value("iou_at_0.25") or 0.0
