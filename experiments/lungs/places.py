"""`place_rows`: words of side and zone of predicted boxes against the lungs' masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data_manifests.laterality import places_of
from data_manifests.support.arrays import Floats
from detector.lungs.lung_fields import LEFT_LUNG, RIGHT_LUNG, LungFields
from experiments.data.lung_films import LungFilm
from localize.evaluation.bootstrap import Estimate, bootstrap_values, estimates
from localize.evaluation.measure import ratio_measure
from localize.prediction.film_prediction import FilmPrediction
from localize.prediction.film_tables import films_of_prediction
from localize.prediction.tables import Prediction

REPLICATES = 1000


@dataclass(frozen=True)
class PlaceRow:
    """Shares of boxes whose side or zone is that by the masks: by the average film (`halves`), by
    the lung fields (`lungs`), and their paired difference."""

    word: str
    boxes: int
    films: int
    patients: int
    halves: Estimate
    lungs: Estimate
    difference: Estimate


def place_rows(
    prediction: Prediction,
    masked: Sequence[LungFilm],
    fields: Mapping[str, LungFields],
    *,
    seed: int,
) -> list[PlaceRow]:
    """Rows for side and zone, on the predicted films with masks of both lungs."""
    mask_of = {film.image_id: film for film in masked}
    films = [
        film
        for film in films_of_prediction(prediction)
        if isinstance(film, FilmPrediction) and film.image_id in mask_of and len(film)
    ]
    counts = np.array([len(film) for film in films], np.float64)[:, None]
    names = [mask_of[film.image_id].patient_id for film in films]
    patients = np.unique(names, return_inverse=True)[1]
    right = np.array(
        [_right(film, mask_of[film.image_id], fields[film.image_id]) for film in films]
    )
    rows = []
    for word, columns in (("side", right[:, :2]), ("zone", right[:, 2:])):
        measure = ratio_measure(("halves", "lungs"), columns, np.repeat(counts, 2, axis=1))
        values = bootstrap_values(
            [measure], patients, replicates=REPLICATES, seed=seed, largest=len(films)
        )
        halves, lungs = estimates(values)
        (difference,) = estimates(values[:, [1]] - values[:, [0]])
        rows.append(
            PlaceRow(
                word,
                int(counts.sum()),
                len(films),
                int(patients.max()) + 1,
                halves,
                lungs,
                difference,
            )
        )
    return rows


def fields_of_mask(film: LungFilm) -> LungFields:
    """The lung fields that a film's masks give."""
    labels = np.zeros(film.pixels.shape, np.uint8)
    for part in (RIGHT_LUNG, LEFT_LUNG):
        labels[film.masks[part - 1]] = part
    return LungFields(labels, right_score=1.0, left_score=1.0)


def _right(film: FilmPrediction, masked: LungFilm, fields: LungFields) -> Floats:
    """Boxes with the side by the average film and by the lung fields, then those with the zone."""
    xyxy = film.boxes.xyxy
    truth = fields_of_mask(masked).places(xyxy)
    found = (places_of(xyxy, film.boxes.width, film.boxes.height), fields.places(xyxy))
    counts = [
        sum(
            getattr(one, word) == getattr(true, word)
            for one, true in zip(places, truth, strict=True)
        )
        for word in ("side", "zone")
        for places in found
    ]
    return np.array(counts, np.float64)
