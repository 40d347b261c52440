"""`predict_films`: the tables of a prediction, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from data_manifests.support.errors import DataError
from data_manifests.support.progress_bar import progress_bar
from detector.run.provenance import provenance
from localize.bundle.bundle import Bundle
from localize.inference.film_list import FilmToPredict
from localize.inference.model import Model
from localize.inference.options import PredictOptions
from localize.prediction.film_prediction import SkippedFilm
from localize.prediction.film_tables import SEVERITY_KEY, prediction_of_films
from localize.prediction.tables import (
    OPERATING_POINT_KEY,
    PREVALENCE_KEY,
    UNPROVEN_KEY,
    Prediction,
)


def predict_films(
    bundle: Bundle, films: Sequence[FilmToPredict], options: PredictOptions, device: torch.device
) -> Prediction:
    """Predict films, in order. No text is read.

    Raises:
        DataError: a film cannot be read and `skip_errors` is false, or none can be read.
    """
    model = Model(bundle, options, device)
    stream = model.predict_listed(films)
    found = list(progress_bar(stream, total=len(films), desc="predict", unit="film"))
    skipped = [film for film in found if isinstance(film, SkippedFilm)]
    if skipped and len(skipped) == len(films):
        raise DataError(f"none of {len(films)} films can be read; the first: {skipped[0].error}")
    return prediction_of_films(found, model.keywords, prediction_info(model))


def prediction_info(model: Model) -> dict[str, Any]:  # Any: whatever JSON holds
    """What `prediction.json` holds: the bundle, the options and the versions of packages."""
    bundle, options = model.bundle, model.options
    info: dict[str, Any] = {
        "bundle_id": bundle.bundle_id,
        "files": dict(bundle.description["files"]),
        "options": {
            "max_boxes": options.max_boxes,
            "min_score": options.min_score,
            "ranking": options.ranking,
            "regions": options.proposals.count,
            "rank_by": bundle.localizer_config.rank_by,
            "nms_iou": bundle.localizer_config.nms_iou,
            "engine": options.engine,
            "precision": options.precision,
        },
        "provenance": provenance(),
    }
    if options.prevalence is not None:  # earlier predictions have no such option
        info["options"]["prevalence"] = options.prevalence
    if bundle.calibration.prevalence is not None:
        own = bundle.calibration.prevalence
        info[PREVALENCE_KEY] = {"stated": options.prevalence or own, "model": own}
    if bundle.unproven_keywords:
        info[UNPROVEN_KEY] = list(bundle.unproven_keywords)
    if bundle.calibration.operating_point is not None and options.ranking != "detector":
        info[OPERATING_POINT_KEY] = bundle.calibration.operating_point
    if bundle.severity is not None and options.ranking != "detector":
        severity = bundle.severity
        info[SEVERITY_KEY] = {
            "low": severity.low,
            "high": severity.high,
            "residual": severity.residual,
        }
    return info
