"""Severity on many films: fitting, cross-validation by patient, and the paper's two scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import pearsonr, spearmanr
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from data_manifests.support.arrays import Bools, Floats, Ints
from data_manifests.support.errors import DataError
from data_manifests.tables.manifest import Manifest
from localize.prediction.film_prediction import FilmPrediction
from localize.prediction.film_tables import films_of_prediction
from localize.prediction.tables import Prediction
from localize.severity.model import FEATURES, SeverityModel, severity_features

FOLDS = 5
RIDGE = 10.0  # on standardised features: tens of scored films against four features
KEYWORDS = ("severe", "mild")  # the paper's two scores
MIN_SCORED = 10
REPLICATES = 1000


@dataclass(frozen=True)
class SeverityFit:
    """How well scores agree with the experts', out of fold: one row of the paper's table 2.

    `low` and `high` are the 95 % interval of Pearson's r over resampled patients; None where
    undefined. Errors are in the unit of the expert's score. `pearson_p` and `spearman_p` are
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


def scored_films(
    prediction: Prediction, manifest: Manifest, column: str
) -> tuple[Floats, Floats, Ints]:
    """Features (S, F), expert scores (S,) and patient numbers (S,) of the films that have a score.

    Raises:
        DataError: no such column, one of text, or too few scored films among the predicted ones.
    """
    if column not in manifest.labels:
        raise DataError(
            f"labels.csv: expected a column {column!r}, got {', '.join(manifest.labels.columns)}; "
            "name it with --column"
        )
    if not pd.api.types.is_numeric_dtype(manifest.labels[column]):
        raise DataError(f"labels.csv, field {column}: expected numbers or blanks, got text")
    patients = manifest.images.set_index("image_id")["patient_id"]
    truth, features = _truth(prediction, manifest, column), feature_table(prediction)
    usable = _usable(truth, features)
    check_scored(truth[usable], MIN_SCORED, column)
    image_ids = prediction.images["image_id"]
    groups = patients.reindex(image_ids).fillna("")[usable].astype("category").cat.codes
    return features[usable], truth[usable], np.asarray(groups, np.int64)


def feature_table(prediction: Prediction) -> Floats:
    """Features of the films of a prediction, (I, F); NaN for films without P(pneumonia)."""
    unknown = np.full(len(FEATURES), np.nan)
    rows = [
        severity_features(film)
        if isinstance(film, FilmPrediction) and film.p_pneumonia is not None
        else unknown
        for film in films_of_prediction(prediction)
    ]
    return np.array(rows).reshape(-1, len(FEATURES))


def severity_table(prediction: Prediction, model: SeverityModel) -> pd.DataFrame:
    """`image_id, severity, low, high` of every film; low and high bound the 90 % interval."""
    scores = model.scores(feature_table(prediction))
    return pd.DataFrame(
        {
            "image_id": prediction.images["image_id"],
            "severity": scores.round(4),
            "low": np.maximum(scores - model.residual, model.low).round(4),
            "high": np.minimum(scores + model.residual, model.high).round(4),
        }
    )


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


def _truth(prediction: Prediction, manifest: Manifest, column: str) -> Floats:
    """The expert scores of the predicted films, NaN where there is none."""
    labels = manifest.labels.set_index("image_id")[column].astype("float64")
    return np.asarray(labels.reindex(prediction.images["image_id"]), np.float64)


def _usable(truth: Floats, features: Floats) -> Bools:
    return np.isfinite(truth) & np.asarray(np.isfinite(features).all(axis=1))


def _keyword_scores(prediction: Prediction, keyword: str, usable: Bools) -> Floats:
    """P(keyword) of the usable films, (S, 1); zero for a model that does not know the word."""
    attributes = prediction.attributes
    if keyword not in attributes:
        return np.zeros((int(usable.sum()), 1))
    known = attributes.set_index("image_id")[keyword].reindex(prediction.images["image_id"])
    return np.asarray(known, np.float64)[usable, None]


def fit_severity(prediction: Prediction, manifest: Manifest, *, column: str) -> SeverityModel:
    """Fit the model on all scored films.

    Raises:
        DataError: see `scored_films`.
    """
    features, truth, groups = scored_films(prediction, manifest, column)
    held_out = out_of_fold(features, truth, groups)
    pipeline = make_pipeline(StandardScaler(), Ridge(RIDGE)).fit(features, truth)
    scaler, ridge = pipeline[0], pipeline[1]
    coefficients = ridge.coef_ / scaler.scale_
    return SeverityModel(
        features=FEATURES,
        coefficients=tuple(map(float, coefficients)),
        intercept=float(ridge.intercept_ - (coefficients * scaler.mean_).sum()),
        low=float(truth.min()),
        high=float(truth.max()),
        residual=float(np.quantile(np.abs(held_out - truth), 0.9)),
        films=len(truth),
    )


def evaluate_severity(
    prediction: Prediction, manifest: Manifest, *, column: str, seed: int
) -> list[SeverityFit]:
    """Rows for the combined model and for P(severe) and P(mild) alone, 5 folds grouped by patient.

    Every row is fitted on four folds and judged on the fifth (paper, section 5.2).

    Raises:
        DataError: see `scored_films`; fewer than five patients.
    """
    features, truth, groups = scored_films(prediction, manifest, column)
    usable = _usable(_truth(prediction, manifest, column), feature_table(prediction))
    rows = [("severity", features)]
    for keyword in KEYWORDS:
        rows.append((f"P({keyword})", _keyword_scores(prediction, keyword, usable)))
    rows.append(("p_pneumonia", features[:, [FEATURES.index("p_pneumonia")]]))
    fits = []
    for name, chosen in rows:
        predicted = out_of_fold(chosen, truth, groups)
        # A single feature is correlated as it is, with its sign; folds only serve its errors.
        compared = chosen[:, 0] if chosen.shape[1] == 1 else predicted
        fits.append(_row(name, compared, predicted, truth, groups, seed))
    return fits


def out_of_fold(features: Floats, truth: Floats, groups: Ints) -> Floats:
    """Score of each film (S,) by the model of the four folds without its patient.

    Raises:
        DataError: fewer than five patients.
    """
    if len(np.unique(groups)) < FOLDS:
        raise DataError(
            f"severity: expected scored films of at least {FOLDS} patients, "
            f"got {len(np.unique(groups))}"
        )
    predicted = np.empty_like(truth)
    for train, test in GroupKFold(FOLDS).split(features, truth, groups):
        pipeline = make_pipeline(StandardScaler(), Ridge(RIDGE))
        fitted = pipeline.fit(features[train], truth[train])
        # Within the scores that this fit has seen, as `SeverityModel.scores` keeps them.
        low, high = truth[train].min(), truth[train].max()
        predicted[test] = np.clip(fitted.predict(features[test]), low, high)
    return predicted


def _row(
    name: str,
    compared: Floats,
    predicted: Floats,
    truth: Floats,
    groups: Ints,
    seed: int,
) -> SeverityFit:
    is_flat = np.ptp(compared) == 0
    rng = np.random.default_rng(seed)
    patients = np.unique(groups)
    members = [np.flatnonzero(groups == patient) for patient in patients]
    resampled = []
    for _ in range(REPLICATES):
        drawn = np.concatenate([members[k] for k in rng.integers(0, len(patients), len(patients))])
        if np.ptp(compared[drawn]) and np.ptp(truth[drawn]):
            resampled.append(np.corrcoef(compared[drawn], truth[drawn])[0, 1])
    error = predicted - truth
    pearson = None if is_flat else pearsonr(compared, truth)
    spearman = None if is_flat else spearmanr(compared, truth)
    return SeverityFit(
        score=name,
        films=len(truth),
        patients=len(patients),
        pearson=None if pearson is None else float(pearson.statistic),
        low=float(np.quantile(resampled, 0.025)) if resampled else None,
        high=float(np.quantile(resampled, 0.975)) if resampled else None,
        spearman=None if spearman is None else float(spearman.statistic),
        r2=float(1 - (error**2).sum() / ((truth - truth.mean()) ** 2).sum()),
        mae=float(np.abs(error).mean()),
        mse=float((error**2).mean()),
        pearson_p=None if pearson is None else float(pearson.pvalue),
        spearman_p=None if spearman is None else float(spearman.pvalue),
    )
