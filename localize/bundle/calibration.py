"""Calibration: box scores and film probabilities that mean the same on every film.

alpha is a softmax inside one film, so it cannot be compared between films. A box's score is

    score_i = sigmoid(intercept + alpha * log alpha_i + film * log sum_j exp(logit s_j)),  alpha > 0

which keeps the film's own order and, for alpha = softmax(logit s), contains the detector's logit
as a special case. Platt scaling (Platt 1999), not isotonic: validation sets are small.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError

from data_manifests.support.arrays import Floats
from data_manifests.support.atomic import write_json
from data_manifests.support.errors import CheckpointError
from localize.prediction.film_prediction import Opacity


@dataclass(frozen=True)
class Calibration:
    """Coefficients of the two logistic functions, fitted on `films` films and `boxes` boxes.

    `least_yes` and `most_no` bound the conformal sets of a film (see `opacity`). Without a fit (0
    films) the scores are the detector's own logits, in the order of alpha. `operating_point` is the
    box score from which on boxes are shown by default, None where the bundle recommends none.

    Raises:
        ValueError: an operating point outside [0, 1].
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    box_intercept: float = 0.0
    box_alpha: float = 1.0
    box_film: float = 1.0
    film_intercept: float = 0.0
    film_sum: float = 0.0
    film_max: float = 1.0
    least_yes: float = 0.0
    most_no: float = 1.0
    films: int = 0
    boxes: int = 0
    operating_point: float | None = None

    def __post_init__(self) -> None:
        if self.operating_point is not None and not 0 <= self.operating_point <= 1:
            raise ValueError(f"operating_point must be in [0, 1], but got {self.operating_point}")

    def box_scores(self, log_alpha: Floats, film_sum: float) -> Floats:
        """Probability that each box of one film matches a true one; `log_alpha` (K,)."""
        return _sigmoid(self.box_intercept + self.box_alpha * log_alpha + self.box_film * film_sum)

    def film_probability(self, film_sum: float, film_max: float) -> float:
        """Probability that the film shows an opacity."""
        logit = self.film_intercept + self.film_sum * film_sum + self.film_max * film_max
        return float(_sigmoid(np.array(logit)))

    def opacity(self, probability: float) -> Opacity:
        """`yes` or `no` at 90 % confidence, else `unsure`.

        Class-conditional split conformal prediction (Vovk 2012): of films like the validation
        films, at most 10 % of those with an opacity are called `no`, and at most 10 % of those
        without one `yes`. Without a fit every film is unsure.
        """
        may_be_yes, may_be_no = probability >= self.least_yes, probability <= self.most_no
        if may_be_yes == may_be_no:
            return "unsure"
        return "yes" if may_be_yes else "no"


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Write `calibration.json`."""
    content = asdict(calibration)
    if calibration.operating_point is None:
        del content["operating_point"]  # earlier versions refuse a key that they do not know
    write_json(path, content)


def read_calibration(path: Path) -> Calibration:
    """Read `calibration.json`.

    Raises:
        CheckpointError: missing, or not these finite numbers.
    """
    try:
        return TypeAdapter(Calibration).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: expected calibration coefficients, got {first}") from error


def _sigmoid(logits: Floats) -> Floats:
    clipped = np.clip(logits, -50, 50)  # exp would overflow; the result is 0 or 1 anyway
    values: Floats = 1 / (1 + np.exp(-clipped))
    return values
