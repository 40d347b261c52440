"""`fit_severity`: the severity model from scored films, and its scores for a whole prediction."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from data_manifests.support.arrays import Floats, Ints
from data_manifests.support.errors import DataError
from data_manifests.tables.manifest import Manifest
from localize.prediction.tables import Prediction
from localize.severity.model import FEATURES, SeverityModel
from localize.severity.scored_films import feature_table, scored_films

FOLDS = 5
RIDGE = 10.0  # on standardised features: tens of scored films against four features
RESIDUAL_QUANTILE = 0.9


def fit_severity(prediction: Prediction, manifest: Manifest, *, column: str) -> SeverityModel:
    """Fit the model on all scored films.

    Raises:
        DataError: see `scored_films` and `out_of_fold`.
    """
    scored = scored_films(prediction, manifest, column)
    features, truth = scored.features(), scored.truth
    held_out = out_of_fold(features, truth, scored.patients)
    pipeline = make_pipeline(StandardScaler(), Ridge(RIDGE)).fit(features, truth)
    scaler, ridge = pipeline[0], pipeline[1]
    coefficients = ridge.coef_ / scaler.scale_
    return SeverityModel(
        features=FEATURES,
        coefficients=tuple(map(float, coefficients)),
        intercept=float(ridge.intercept_ - (coefficients * scaler.mean_).sum()),
        low=float(truth.min()),
        high=float(truth.max()),
        residual=float(np.quantile(np.abs(held_out - truth), RESIDUAL_QUANTILE)),
        films=len(truth),
    )


def out_of_fold(features: Floats, truth: Floats, patients: Ints) -> Floats:
    """Score of each film (S,) by the model of the four folds without its patient.

    Raises:
        DataError: fewer than five patients.
    """
    count = len(np.unique(patients))
    if count < FOLDS:
        raise DataError(
            f"severity: expected scored films of at least {FOLDS} patients, got {count}"
        )
    predicted = np.empty_like(truth)
    for train, test in GroupKFold(FOLDS).split(features, truth, patients):
        pipeline = make_pipeline(StandardScaler(), Ridge(RIDGE))
        fitted = pipeline.fit(features[train], truth[train])
        # Clipped to the scores of the fit, as `SeverityModel.scores` does.
        low, high = truth[train].min(), truth[train].max()
        predicted[test] = np.clip(fitted.predict(features[test]), low, high)
    return predicted


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
