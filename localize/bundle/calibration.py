"""Calibration: box scores and film probabilities that mean the same on every film.

alpha is a softmax inside one film, so it cannot be compared between films. A box's score is

    score_i = sigmoid(intercept + alpha * log alpha_i + film * log sum_j exp(logit s_j)),  alpha > 0

which keeps the film's own order and, for alpha = softmax(logit s), contains the detector's logit
as a special case. Platt scaling (Platt 1999), not isotonic: validation sets are small.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError
from sklearn.linear_model import LogisticRegression

from data_manifests.boxes import iou_matrix
from data_manifests.support.atomic import write_json
from data_manifests.support.errors import CheckpointError, DataError

Floats = NDArray[np.float64]
logger = logging.getLogger(__name__)
MATCH_IOU = 0.5  # a box is right when it overlaps a true box by half, as the headline metric
# In logits. A feature that hardly varies in validation must not get a steep slope: films of another
# hospital lie far outside its range.
MIN_SPREAD = 0.5
ERROR_RATE = 0.1  # of either kind of film, for the conformal sets
Opacity = Literal["yes", "no", "unsure"]
MIN_ALPHA = 1e-3  # a fit on few films may turn negative and would reverse the film's order


@dataclass(frozen=True)
class Calibration:
    """Coefficients of the two logistic functions; `films` and `boxes` count what they saw.

    `least_yes` and `most_no` bound the conformal sets of a film (see `opacity`).

    Without calibration (0 films) the scores are the detector's own logits, ordered by alpha.
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

    def box_scores(self, log_alpha: Floats, film_sum: float) -> Floats:
        """Probability that each box of one film matches a true one; `log_alpha` (K,)."""
        return _sigmoid(self.box_intercept + self.box_alpha * log_alpha + self.box_film * film_sum)

    def film_probability(self, film_sum: float, film_max: float) -> float:
        """Probability that the film shows an opacity."""
        logit = self.film_intercept + self.film_sum * film_sum + self.film_max * film_max
        return float(_sigmoid(np.array(logit)))

    def opacity(self, probability: float) -> Opacity:
        """`yes`, `no`, or `unsure` where validation films of both kinds (or none) look like this.

        Class-conditional split conformal prediction (Vovk 2012): of films like the validation
        films with an opacity at most ERROR_RATE are called `no`, of those without one at most
        ERROR_RATE `yes`. Without calibration every film is unsure.
        """
        may_be_yes, may_be_no = probability >= self.least_yes, probability <= self.most_no
        if may_be_yes == may_be_no:
            return "unsure"
        return "yes" if may_be_yes else "no"


@dataclass(frozen=True)
class RankedFilm:
    """One film's ranked boxes before calibration.

    `xyxy` (K, 4) film pixels, `log_alpha` (K,) best first; `film_sum` = log sum exp of the
    detector's logits over all regions, `film_max` their maximum.
    """

    xyxy: Floats
    log_alpha: Floats
    film_sum: float
    film_max: float


def fit_calibration(
    films: list[RankedFilm], true_boxes: list[Floats | None], has_opacity: list[bool | None]
) -> Calibration:
    """Fit on validation films.

    `true_boxes[k]` are the boxes of film k, None where not known; `has_opacity[k]` its label.

    Raises:
        DataError: no ranked box on a film with known boxes, or films of one kind only.
    """
    features, labels = [], []
    for film, boxes in zip(films, true_boxes, strict=True):
        if boxes is None:
            continue
        matched = _matches(film.xyxy, boxes)
        features += [[value, film.film_sum] for value in film.log_alpha]
        labels += matched.tolist()
    if not labels:
        raise DataError(
            "calibration: expected ranked boxes on validation films whose true boxes are known, "
            "got none; use films with boxes"
        )
    box_fit = _fit_boxes(np.array(features), np.array(labels))
    known = [k for k, label in enumerate(has_opacity) if label is not None]
    film_labels = np.array([bool(has_opacity[k]) for k in known])
    if not 0 < film_labels.sum() < len(film_labels):
        raise DataError(
            f"calibration: expected validation films with and without opacity, got "
            f"{int(film_labels.sum())} of {len(film_labels)} with"
        )
    film_fit = _fit(np.array([[films[k].film_sum, films[k].film_max] for k in known]), film_labels)
    fitted = Calibration(
        box_intercept=box_fit[0],
        box_alpha=box_fit[1],
        box_film=box_fit[2],
        film_intercept=film_fit[0],
        film_sum=film_fit[1],
        film_max=film_fit[2],
        films=len(films),
        boxes=len(labels),
    )
    probabilities = np.array(
        [fitted.film_probability(films[k].film_sum, films[k].film_max) for k in known]
    )
    least_yes, most_no = conformal_bounds(probabilities, film_labels)
    return replace(fitted, least_yes=least_yes, most_no=most_no)


def conformal_bounds(probabilities: Floats, has_opacity: NDArray[np.bool_]) -> tuple[float, float]:
    """The least P of a possible `yes` and the greatest P of a possible `no`.

    The floor(ERROR_RATE (n + 1))-th lowest of the n films with an opacity, and highest of those
    without; with fewer than 1/ERROR_RATE - 1 films of a kind nothing can be excluded.
    """
    positive, negative = np.sort(probabilities[has_opacity]), np.sort(probabilities[~has_opacity])
    low = int(ERROR_RATE * (len(positive) + 1))
    high = int(ERROR_RATE * (len(negative) + 1))
    least_yes = float(positive[low - 1]) if low else 0.0
    most_no = float(negative[len(negative) - high]) if high else 1.0
    return least_yes, most_no


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Write `calibration.json`."""
    write_json(path, asdict(calibration))


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


def _matches(xyxy: Floats, true: Floats) -> NDArray[np.bool_]:
    """Which boxes match a true box that no better-ranked box took; (K,)."""
    overlap = iou_matrix(xyxy, true) if len(true) else np.zeros((len(xyxy), 0))
    is_match = np.zeros(len(xyxy), bool)
    for k in range(len(xyxy)):
        if overlap.shape[1] and overlap[k].max() >= MATCH_IOU:
            is_match[k] = True
            overlap[:, overlap[k].argmax()] = 0
    return is_match


def _fit_boxes(features: Floats, labels: NDArray[np.bool_]) -> list[float]:
    """Intercept and coefficients of (log alpha, film) for boxes that match or do not."""
    if labels.all() or not labels.any():
        # Nothing tells boxes apart: all get the smoothed rate (Platt 1999, section 2.2).
        logger.warning("%d of %d validation boxes match a true one", labels.sum(), len(labels))
        odds = (labels.sum() + 1) / (len(labels) - labels.sum() + 1)
        return [float(np.log(odds)), MIN_ALPHA, 0.0]
    fit = _fit(features, labels)
    if fit[1] < MIN_ALPHA:  # refitted without alpha, so that the level stays right
        intercept, film = _fit(features[:, 1:], labels)
        return [intercept, MIN_ALPHA, film]
    return fit


def _fit(features: Floats, labels: NDArray[np.bool_]) -> list[float]:
    """Intercept and coefficients of a logistic regression, in the features' own units."""
    mean, spread = features.mean(axis=0), np.maximum(features.std(axis=0), MIN_SPREAD)
    fit = LogisticRegression(C=1.0).fit((features - mean) / spread, labels)
    coefficients = fit.coef_[0] / spread
    intercept = float(fit.intercept_[0] - (coefficients * mean).sum())
    return [intercept, *map(float, coefficients)]


def _sigmoid(logits: Floats) -> Floats:
    clipped = np.clip(logits, -50, 50)  # exp would overflow; the result is 0 or 1 anyway
    values: Floats = 1 / (1 + np.exp(-clipped))
    return values
