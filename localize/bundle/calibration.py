"""Calibration: box scores and film probabilities that mean the same on every film.

alpha is a softmax inside one film, so it cannot be compared between films. A box's score is

    score_i = sigmoid(intercept + alpha * log alpha_i + film * log sum_j exp(logit s_j)),  alpha > 0

which keeps the film's own order and, for alpha = softmax(logit s), contains the detector's logit
as a special case. Platt scaling (Platt 1999), not isotonic: validation sets are small.

P(pneumonia) depends on how many films show an opacity. It is stated for the share `prevalence`;
`localize.bundle.prevalence` turns it into that of another share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError

from data_manifests.support.arrays import Floats
from data_manifests.support.atomic import write_json
from data_manifests.support.errors import CheckpointError, ConfigError
from localize.bundle.prevalence import at_prevalence
from localize.prediction.film_prediction import Opacity

LEAST_PROBABILITY = 1e-6  # logits stay finite


@dataclass(frozen=True)
class FilmLogit:
    """Coefficients of a film's logit, as those of `Calibration`."""

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    intercept: float
    film_sum: float
    film_max: float
    film_tail: tuple[float, ...] = ()


@dataclass(frozen=True)
class Calibration:
    """Coefficients of the two logistic functions, fitted on `films` films and `boxes` boxes.

    `least_yes` and `most_no` bound the conformal sets of a film (see `opacity`). Without a fit (0
    films) the scores are the detector's own logits, in the order of alpha.

    Bundles may lack the fields below `boxes`:

    - `operating_point`: the box score from which on boxes are shown by default (at that of
      `fit_calibration` validation films show FALSE_POSITIVES false boxes on average).
    - `place_words`: by word of place, intercept and slope of a logistic function of the logit that
      the boxes give it (see `localize.bundle.place_words`); words that are not there come from
      the attribute head.
    - `film_tail`: further coefficients of the film's logit, for the numbers of
      `FilmRegions.film_tail`. Films of one source have many middling regions, those of another one
      strong region; these numbers tell the two apart.
    - `child`: the coefficients for films of children (see `FilmGuard.look`).
    - `prevalence`: the share of films with an opacity for which P(pneumonia) is stated.

    Raises:
        ValueError: an operating point outside [0, 1], or a prevalence outside (0, 1).
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
    place_words: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    film_tail: tuple[float, ...] = ()
    child: FilmLogit | None = None
    prevalence: float | None = None

    def __post_init__(self) -> None:
        if self.operating_point is not None and not 0 <= self.operating_point <= 1:
            raise ValueError(f"operating_point must be in [0, 1], but got {self.operating_point}")
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            raise ValueError(f"prevalence must be in (0, 1), but got {self.prevalence}")

    def place_probability(self, word: str, by_boxes: float) -> float:
        """Probability of a word of `place_words`, from the probability that the boxes give it."""
        intercept, slope = self.place_words[word]
        return float(_sigmoid(np.array(intercept + slope * logit_of(by_boxes))))

    def box_scores(self, log_alpha: Floats, film_sum: float) -> Floats:
        """Probability that each box of one film matches a true one; `log_alpha` (K,)."""
        return _sigmoid(self.box_intercept + self.box_alpha * log_alpha + self.box_film * film_sum)

    def film_probability(
        self,
        film_sum: float,
        film_max: float,
        tail: Floats | Sequence[float] = (),
        *,
        is_child: bool = False,
    ) -> float:
        """Probability that the film shows an opacity, at the calibration's own `prevalence`.

        `tail` is the film's `FilmRegions.film_tail`, `is_child` what the film guard says of it.
        """
        own = FilmLogit(self.film_intercept, self.film_sum, self.film_max, self.film_tail)
        map_ = self.child if is_child and self.child is not None else own
        logit = map_.intercept + map_.film_sum * film_sum + map_.film_max * film_max
        if map_.film_tail:
            logit += float(np.dot(map_.film_tail, tail))
        return float(_sigmoid(np.array(logit)))

    def at(self, probability: float, prevalence: float | None) -> float:
        """A film's probability where the share of films with an opacity is `prevalence`.

        None leaves it at the calibration's own. `opacity` takes the probability before this step:
        its two error rates are of films with and of films without an opacity, whatever their share.

        Raises:
            ConfigError: a prevalence, but the calibration states none.
        """
        if prevalence is None:
            return probability
        return at_prevalence(probability, self.reference_prevalence(), prevalence)

    def reference_prevalence(self) -> float:
        """`prevalence`. Raises ConfigError where it is not stated."""
        if self.prevalence is None:
            raise ConfigError(
                "prevalence: expected a bundle that states its own (field prevalence of "
                "calibration.json), got one without; leave --prevalence out, or take another bundle"
            )
        return self.prevalence

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
    # Earlier versions refuse a key that they do not know.
    content = {name: value for name, value in content.items() if value not in (None, {}, ())}
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


def logit_of(probability: float) -> float:
    """Log odds, finite for 0 and 1 too."""
    clipped = min(max(probability, LEAST_PROBABILITY), 1 - LEAST_PROBABILITY)
    return float(np.log(clipped / (1 - clipped)))


def _sigmoid(logits: Floats) -> Floats:
    clipped = np.clip(logits, -50, 50)  # exp would overflow; the result is 0 or 1 anyway
    values: Floats = 1 / (1 + np.exp(-clipped))
    return values
