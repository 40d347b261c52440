"""`calibration_errors`: how far P(pneumonia) is from the share of films with an opacity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_manifests.support.arrays import Floats, Ints
from data_manifests.tables.manifest import Manifest
from localize.bundle.calibration import Calibration
from localize.evaluation.bootstrap import Estimate, bootstrap_values, estimates
from localize.evaluation.measure import Measure
from localize.evaluation.probability import probability_measure
from localize.prediction.tables import Prediction

REPLICATES = 1000
DRAWS = 200  # of labels, for the floor
ECE = 3  # column of `probability_measure`


@dataclass(frozen=True)
class CalibrationErrors:
    """Expected calibration errors of one set of films, with 95 % intervals over patients.

    Args:
        films: whose label is known.
        prevalence: share of them with an opacity.
        as_predicted: of the probabilities as they are.
        at_reference: the same, films weighted so that the share is that of the calibration.
        at_own: of the probabilities turned to `prevalence`.
        floor: mean error of these where labels are drawn from them: that of a perfect map.
    """

    films: int
    prevalence: float
    as_predicted: Estimate
    at_reference: Estimate
    at_own: Estimate
    floor: float


def calibration_errors(
    prediction: Prediction, films: Manifest, calibration: Calibration
) -> CalibrationErrors:
    """Errors of a prediction without `--prevalence`; `labels.csv` of `films` has `pneumonia`.

    Raises:
        ConfigError: the calibration states no prevalence.
    """
    ids = films.images["image_id"]
    labels = films.labels.set_index("image_id")["pneumonia"].reindex(ids).to_numpy(np.float64)
    by_film = prediction.images.set_index("image_id")["p_pneumonia"]
    known = np.isfinite(labels)
    probability = by_film.reindex(ids).to_numpy(np.float64)[known]
    target = labels[known]
    patients: Ints = np.unique(films.images["patient_id"][known], return_inverse=True)[1]
    share, reference = float(target.mean()), calibration.reference_prevalence()
    own = np.array([calibration.at(one, share) for one in probability.tolist()])
    weights = np.where(target > 0.5, reference / share, (1 - reference) / (1 - share))
    plain = np.ones(len(target))
    rng = np.random.default_rng(0)
    drawn = [(rng.random(len(own)) < own).astype(np.float64) for _ in range(DRAWS)]
    return CalibrationErrors(
        films=len(target),
        prevalence=share,
        as_predicted=_error(probability, target, plain, patients),
        at_reference=_error(probability, target, weights, patients),
        at_own=_error(own, target, plain, patients),
        floor=float(np.mean([_measure(own, one, plain).values(plain[None]) for one in drawn])),
    )


def _measure(probability: Floats, target: Floats, weights: Floats) -> Measure:
    """The error of films that count with `weights` (I,)."""
    measure = probability_measure("film", probability, target)
    return Measure(("ece",), lambda drawn: measure.values(drawn * weights)[:, ECE : ECE + 1])


def _error(probability: Floats, target: Floats, weights: Floats, patients: Ints) -> Estimate:
    measure = _measure(probability, target, weights)
    values = bootstrap_values(
        [measure], patients, replicates=REPLICATES, seed=0, largest=len(target)
    )
    return estimates(values)[0]
