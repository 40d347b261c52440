"""`SeverityModel`: a film's severity score from its boxes and P(pneumonia).

The paper takes P(severe) and P(mild) as scores. Here a ridge regression, fitted on scored films,
combines P(pneumonia) and the expected extent of opacity in each half of the film. The extent enters
by its square root: experts' scores rise fast for small extents and then saturate. Attributes
learned from a few hundred reports hardly vary between films and only added noise.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError

from data_manifests.laterality import widths_by_side
from data_manifests.support.arrays import Floats
from data_manifests.support.atomic import write_json
from data_manifests.support.errors import CheckpointError
from localize.prediction.film_prediction import FilmPrediction

FEATURES = (
    "p_pneumonia",
    "logit_p_pneumonia",
    "root_extent_left_half",
    "root_extent_right_half",
)
MIN_P = 1e-6  # keeps the logit finite


@dataclass(frozen=True)
class SeverityModel:
    """score = intercept + sum of coefficient * feature, clipped to [low, high].

    `residual` is the half width of the 90 % prediction interval, in the unit of the score: the 90th
    percentile of the absolute cross-validated error. `films` counts the scored films of the fit.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    features: tuple[str, ...]
    coefficients: tuple[float, ...]
    intercept: float
    low: float
    high: float
    residual: float
    films: int

    def score(self, film: FilmPrediction) -> float:
        """The severity of one film.

        Raises:
            ValueError: the film has no P(pneumonia).
        """
        return float(self.scores(severity_features(film)[None])[0])

    def scores(self, features: Floats) -> Floats:
        """Severity of each of I films from their features (I, F); (I,)."""
        raw = features @ np.array(self.coefficients) + self.intercept
        clipped: Floats = np.clip(raw, self.low, self.high)
        return clipped

    def interval(self, severity: float) -> tuple[float, float]:
        """Low and high end of the 90 % interval of one score, inside the range of scores."""
        return max(severity - self.residual, self.low), min(severity + self.residual, self.high)


def severity_features(film: FilmPrediction) -> Floats:
    """Features (F,) of one film, in the order of `FEATURES`.

    The extent of a half film is the expected share of it under boxes: the sum of score times area.
    The patient's right lung lies in the left half.

    Raises:
        ValueError: the film has no P(pneumonia).
    """
    if film.p_pneumonia is None:
        raise ValueError(f"film {film.image_id!r}, p_pneumonia: expected a probability, got None")
    xyxy, width = film.boxes.xyxy, film.boxes.width
    half = width / 2 * film.boxes.height
    areas = widths_by_side(xyxy, width) * (xyxy[:, 3] - xyxy[:, 1])[:, None]
    extents = [math.fsum(film.scores * side / half) for side in areas.T]
    inner = np.clip(film.p_pneumonia, MIN_P, 1 - MIN_P)
    return np.array([film.p_pneumonia, np.log(inner / (1 - inner)), *np.sqrt(extents)])


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
