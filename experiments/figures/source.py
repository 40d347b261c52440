"""`FigureSource`: predictions and films that the figures are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_manifests.boxes import iou_matrix
from data_manifests.support.arrays import Floats
from data_manifests.support.errors import DataError
from data_manifests.tables.columns import CORNERS
from data_manifests.tables.manifest import Manifest
from experiments.tables.severity_figure import SeverityPoints
from localize.prediction.tables import Prediction

NAMED = 0.5  # attribute probability from which a keyword is shown


@dataclass(frozen=True)
class FigureSource:
    """Everything that the figures show.

    Args:
        truth: test films with true boxes.
        predictions: of these films, by method.
        method: our method among them.
        series: films of patients at several times.
        series_prediction: our boxes on them.
        time: a number for each image_id that grows with time.
        severity: the points of each target; those of the first stand beside the series.
        bundle: our model.
    """

    truth: Manifest
    predictions: Mapping[str, Prediction]
    method: str
    series: Manifest
    series_prediction: Prediction
    time: Mapping[str, float]
    severity: list[SeverityPoints]
    bundle: Path


def film_paths(manifest: Manifest) -> dict[str, Path]:
    """The file of each film."""
    return dict(zip(manifest.images["image_id"], manifest.film_paths(), strict=True))


def best_boxes(prediction: Prediction, image_id: str, count: int) -> Floats:
    """The `count` boxes of highest score, (K, 4)."""
    boxes = prediction.boxes[prediction.boxes["image_id"] == image_id]
    ordered = boxes.sort_values("score", ascending=False, kind="stable")
    corners: Floats = ordered[list(CORNERS)].to_numpy(np.float64)[:count]
    return corners


def named_attributes(prediction: Prediction, image_id: str) -> list[str]:
    """Keywords with a probability of at least .5, surest first."""
    row = prediction.attributes[prediction.attributes["image_id"] == image_id]
    chances = row[list(prediction.keywords())].to_numpy(np.float64)[0]
    order = np.argsort(-chances, kind="stable")
    return [prediction.keywords()[k] for k in order if chances[k] >= NAMED]


def chosen_films(source: FigureSource, quantiles: tuple[float, ...]) -> list[str]:
    """Films at quantiles of how well our boxes lie on the true ones: neither best nor worst only.

    Raises:
        DataError: no film with boxes.
    """
    prediction = source.predictions[source.method]
    ranked = []
    for image_id, true in source.truth.boxes_by_image().items():
        predicted = best_boxes(prediction, image_id, len(true))
        overlap = iou_matrix(predicted, true).max(axis=0).mean() if len(predicted) else 0.0
        ranked.append((float(overlap), image_id))
    if not ranked:
        raise DataError("figures: expected test films with boxes, got none")
    ranked.sort()
    chosen = dict.fromkeys(round(quantile * (len(ranked) - 1)) for quantile in quantiles)
    return [ranked[number][1] for number in chosen]
