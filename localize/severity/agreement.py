"""`evaluate_severity`: how well severity scores agree with the experts' (the paper's table 2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import pearsonr, spearmanr

from data_manifests.support.arrays import Floats
from data_manifests.tables.manifest import Manifest
from localize.evaluation.bootstrap import bootstrap_values, estimates
from localize.evaluation.measure import Measure, divide
from localize.prediction.tables import Prediction
from localize.severity.fit import out_of_fold
from localize.severity.model import FEATURES
from localize.severity.scored_films import ScoredFilms, scored_films

KEYWORDS = ("severe", "mild")  # the paper's two scores
REPLICATES = 1000
# A variance under this share of the square of the largest value is rounding.
FLAT = 1e-12


@dataclass(frozen=True)
class SeverityAgreement:
    """One score against the experts' scores, out of fold: a row of the paper's table 2.

    `low` and `high` are the 95 % interval of Pearson's r by a bootstrap over patients. None is
    undefined. Errors are in the unit of the experts' score. `pearson_p` and `spearman_p` are
    two-sided and take films as independent: with several films a patient, trust the interval.
    """

    score: str
    films: int
    patients: int
    pearson: float | None
    low: float | None
    high: float | None
    spearman: float | None
    r2: float | None
    mae: float | None
    mse: float | None
    pearson_p: float | None = None
    spearman_p: float | None = None


def evaluate_severity(
    prediction: Prediction, manifest: Manifest, *, column: str, seed: int
) -> list[SeverityAgreement]:
    """Rows for the combined model, P(severe), P(mild) and P(pneumonia); 5 folds by patient.

    Every score is fitted on four folds and evaluated on the fifth (paper, section 5.2).

    Raises:
        DataError: see `scored_films` and `out_of_fold`.
    """
    scored = scored_films(prediction, manifest, column)
    features = scored.features()
    rows = {"severity": features}
    rows |= {f"P({keyword})": scored.probabilities(keyword)[:, None] for keyword in KEYWORDS}
    rows["p_pneumonia"] = features[:, [FEATURES.index("p_pneumonia")]]
    return [_agreement(name, chosen, scored, seed) for name, chosen in rows.items()]


def pearson_measure(x: Floats, y: Floats) -> Measure:
    """Pearson's correlation of two numbers of each film, both (I,); NaN where one is constant."""

    def values(weights: Floats) -> Floats:
        count = weights.sum(axis=1)
        means = [divide(weights @ numbers, count)[:, None] for numbers in (x, y)]
        a, b = (numbers - mean for numbers, mean in zip((x, y), means, strict=True))
        variances = [(weights * part**2).sum(axis=1) for part in (a, b)]
        is_flat = np.logical_or.reduce(
            [
                variance <= FLAT * count * np.abs(numbers).max(initial=0) ** 2
                for variance, numbers in zip(variances, (x, y), strict=True)
            ]
        )
        spread = np.where(is_flat, 0.0, np.sqrt(variances[0] * variances[1]))
        return divide((weights * a * b).sum(axis=1), spread)[:, None]

    return Measure(("pearson",), values)


def _agreement(name: str, chosen: Floats, scored: ScoredFilms, seed: int) -> SeverityAgreement:
    """The row of the score that `chosen` (S, F) features give."""
    truth, patients = scored.truth, scored.patients
    predicted = out_of_fold(chosen, truth, patients)
    # A single feature is correlated as it is, with its sign; folds serve only its errors.
    compared = chosen[:, 0] if chosen.shape[1] == 1 else predicted
    values = bootstrap_values(
        [pearson_measure(compared, truth)],
        patients,
        replicates=REPLICATES,
        seed=seed,
        largest=len(truth),
    )
    (estimate,) = estimates(values)
    is_flat = np.ptp(compared) == 0
    pearson = None if is_flat else pearsonr(compared, truth)
    spearman = None if is_flat else spearmanr(compared, truth)
    error = predicted - truth
    return SeverityAgreement(
        score=name,
        films=len(truth),
        patients=len(np.unique(patients)),
        pearson=None if pearson is None else float(pearson.statistic),
        low=estimate.low,
        high=estimate.high,
        spearman=None if spearman is None else float(spearman.statistic),
        r2=float(1 - (error**2).sum() / ((truth - truth.mean()) ** 2).sum()),
        mae=float(np.abs(error).mean()),
        mse=float((error**2).mean()),
        pearson_p=None if pearson is None else float(pearson.pvalue),
        spearman_p=None if spearman is None else float(spearman.pvalue),
    )
