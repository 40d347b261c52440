"""`SeverityModel`: a severity score of a film from its boxes and attributes.

The paper reads severity off P(severe) and P(mild). Here a ridge regression on scored films combines
P(pneumonia) and the expected extent of opacity in each lung; the square root, since experts' scores
rise fast for small extents and saturate. Attributes learned from a few hundred notes hardly vary
between films and only added noise.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import ConfigDict, TypeAdapter, ValidationError

from data_manifests.laterality import widths_by_side
from data_manifests.support.arrays import Floats
from data_manifests.support.atomic import write_json
from data_manifests.support.errors import CheckpointError, DataError
from data_manifests.tables.columns import CORNERS
from localize.prediction.tables import Prediction

FEATURES = (
    "p_pneumonia",
    "logit_p_pneumonia",
    "root_extent_left_half",
    "root_extent_right_half",
)
MIN_P = 1e-6  # keeps the logit finite


@dataclass(frozen=True)
class SeverityModel:
    """score = intercept + sum of coefficient * feature, kept within [low, high].

    `residual` is the half width of a 90 % prediction interval (the 90th percentile of the absolute
    cross-validated error), in the unit of the score.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    features: tuple[str, ...]
    coefficients: tuple[float, ...]
    intercept: float
    low: float
    high: float
    residual: float
    films: int

    def scores(self, features: Floats) -> Floats:
        """Severity of each film from (I, F) features; (I,)."""
        raw = features @ np.array(self.coefficients) + self.intercept
        kept: Floats = np.clip(raw, self.low, self.high)
        return kept


def severity_features(prediction: Prediction) -> Floats:
    """Features of the films of a prediction, (I, F), NaN for films that were skipped.

    The extent of a half film is the expected share of it under boxes, sum of score times area, and
    its square root the feature: the patient's right lung lies in the left half.
    """
    images = prediction.images.set_index("image_id")
    boxes = prediction.boxes
    size = images.reindex(boxes["image_id"])[["width", "height"]].to_numpy(np.float64)
    xyxy = boxes[list(CORNERS)].to_numpy(np.float64)
    height = xyxy[:, 3] - xyxy[:, 1]
    left_half, right_half = widths_by_side(xyxy, size[:, 0]).T
    half = size[:, 0] / 2 * size[:, 1]
    extents = pd.DataFrame(
        {
            "image_id": boxes["image_id"],
            "left": boxes["score"] * left_half * height / half,
            "right": boxes["score"] * right_half * height / half,
        }
    )
    summed = extents.groupby("image_id").sum().reindex(images.index).fillna(0.0)
    probability = images["p_pneumonia"].to_numpy(np.float64)
    kept = np.clip(probability, MIN_P, 1 - MIN_P)
    roots = np.sqrt(summed[["left", "right"]].to_numpy(np.float64))
    table: Floats = np.column_stack([probability, np.log(kept / (1 - kept)), roots])
    table[(images["status"] != "ok").to_numpy(bool)] = np.nan
    return table


def write_severity(model: SeverityModel, path: Path) -> None:
    """Write `severity.json`."""
    write_json(path, asdict(model))


def read_severity(path: Path) -> SeverityModel:
    """Read `severity.json`.

    Raises:
        CheckpointError: missing, not these numbers, or for other features.
    """
    try:
        model = TypeAdapter(SeverityModel).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        is_missing = isinstance(error, FileNotFoundError)
        got = "no such file" if is_missing else str(error).splitlines()[0]
        raise CheckpointError(f"{path}: expected a severity model, got {got}") from error
    if model.features != FEATURES or len(model.coefficients) != len(FEATURES):
        raise CheckpointError(f"{path}: expected coefficients for {', '.join(FEATURES)}")
    return model


def check_scored(values: Floats, needed: int, column: str) -> None:
    """Refuse a severity column that cannot be learned from.

    Raises:
        DataError: fewer than `needed` scored films, or all with one score.
    """
    known = values[np.isfinite(values)]
    if len(known) < needed or np.ptp(known) == 0:
        raise DataError(
            f"labels.csv, field {column}: expected at least {needed} scored films of different "
            f"severity, got {len(known)}; name the column with --column"
        )


def severity_table(prediction: Prediction, model: SeverityModel) -> pd.DataFrame:
    """`image_id, severity, low, high` of every film; low and high bound the 90 % interval."""
    scores = model.scores(severity_features(prediction))
    return pd.DataFrame(
        {
            "image_id": prediction.images["image_id"],
            "severity": scores.round(4),
            "low": np.maximum(scores - model.residual, model.low).round(4),
            "high": np.minimum(scores + model.residual, model.high).round(4),
        }
    )
