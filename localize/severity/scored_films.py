"""`ScoredFilms`: predicted films that experts have scored for severity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_manifests.support.arrays import Floats, Ints
from data_manifests.support.errors import DataError
from data_manifests.tables.manifest import Manifest
from localize.prediction.film_prediction import FilmPrediction
from localize.prediction.film_tables import films_of_prediction
from localize.prediction.tables import Prediction
from localize.severity.model import FEATURES, severity_features

MIN_SCORED = 10


@dataclass(frozen=True)
class ScoredFilms:
    """S films with a prediction and an expert's score.

    `truth` (S,) are the experts' scores, `patients` (S,) numbers of the patients, from 0.
    """

    films: tuple[FilmPrediction, ...]
    truth: Floats
    patients: Ints

    def features(self) -> Floats:
        """The severity features of each film; (S, F)."""
        return np.array([severity_features(film) for film in self.films])

    def probabilities(self, keyword: str) -> Floats:
        """P(keyword) of each film (S,); zero for a model that does not predict it."""
        return np.array([film.attributes.get(keyword, 0.0) for film in self.films])


def scored_films(prediction: Prediction, manifest: Manifest, column: str) -> ScoredFilms:
    """The predicted films that have a score in a column of `labels.csv`.

    Raises:
        DataError: no such column, text in it, fewer than ten scored films among the predicted
            ones, all with one score, or predicted with another prevalence than the model's own.
    """
    if column not in manifest.labels:
        raise DataError(
            f"labels.csv: expected a column {column!r}, got {', '.join(manifest.labels.columns)}; "
            "name it with --column"
        )
    if not pd.api.types.is_numeric_dtype(manifest.labels[column]):
        raise DataError(f"labels.csv, field {column}: expected numbers or blanks, got text")
    scores = manifest.labels.set_index("image_id")[column].astype("float64").dropna().to_dict()
    patients = manifest.images.set_index("image_id")["patient_id"].to_dict()
    _refuse_other_prevalence(prediction)
    films = [
        film
        for film in films_of_prediction(prediction)
        if isinstance(film, FilmPrediction)
        and film.p_pneumonia is not None
        and film.image_id in scores
    ]
    truth = np.array([scores[film.image_id] for film in films], np.float64)
    if len(films) < MIN_SCORED or np.ptp(truth) == 0:
        raise DataError(
            f"labels.csv, field {column}: expected at least {MIN_SCORED} scored films of different "
            f"severity, got {len(films)}; name the column with --column"
        )
    names = [patients.get(film.image_id, "") for film in films]
    return ScoredFilms(tuple(films), truth, np.unique(names, return_inverse=True)[1])


def feature_table(prediction: Prediction) -> Floats:
    """Features of the films of a prediction, (I, F); NaN for films without P(pneumonia).

    Raises:
        DataError: predicted with another prevalence than the model's own.
    """
    _refuse_other_prevalence(prediction)
    unknown = np.full(len(FEATURES), np.nan)
    rows = [
        severity_features(film)
        if isinstance(film, FilmPrediction) and film.p_pneumonia is not None
        else unknown
        for film in films_of_prediction(prediction)
    ]
    return np.array(rows).reshape(-1, len(FEATURES))


def _refuse_other_prevalence(prediction: Prediction) -> None:
    """Severity rests on P(pneumonia) as the model states it by itself."""
    stated, own = prediction.prevalence(), prediction.model_prevalence()
    if stated != own:
        raise DataError(
            f"prediction.json, field prevalence: expected the model's own, {own}, got {stated}; "
            "predict the films without --prevalence"
        )
