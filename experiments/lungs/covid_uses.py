"""Lung fields on scored COVID films: Brixia's zones, and severity with shares of the lungs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from data_manifests.laterality import SIDES_ACROSS_FILM
from data_manifests.support.arrays import Floats
from data_manifests.tables.manifest import Manifest
from detector.lungs.lung_fields import LungFields
from detector.lungs.lung_shares import ZONES, lung_cover, zone_cover
from experiments.core.box_bundle import SEVERITY
from experiments.tables.table2_runs import subset_prediction
from experiments.tables.zones import ZoneRow, zone_rows
from localize.evaluation.bootstrap import Estimate, bootstrap_values, estimates
from localize.evaluation.measure import Measure
from localize.prediction.film_prediction import FilmPrediction
from localize.prediction.film_tables import films_of_prediction
from localize.prediction.tables import Prediction
from localize.severity.agreement import pearson_measure
from localize.severity.fit import out_of_fold
from localize.severity.model import FEATURES
from localize.severity.scored_films import scored_films

REPLICATES = 1000
HALVES, LUNGS = "halves of the film", "lung fields"
BOTH = "both"


@dataclass(frozen=True)
class ZoneTable:
    """Rows of Brixia's zones by the thirds of the film's halves and by the lung fields, on `films`
    named so (all, or of patients that the lung network was not trained on)."""

    films: str
    rows: Mapping[str, list[ZoneRow]]


@dataclass(frozen=True)
class SeverityRow:
    """Severity out of fold with one set of features, against Cohen's score where there is one."""

    features: str
    films: int
    patients: int
    pearson: Estimate
    mae: Estimate


def zone_table(
    name: str,
    prediction: Prediction,
    covid: Manifest,
    fields: Mapping[str, LungFields],
    *,
    seed: int,
) -> ZoneTable:
    """Both kinds of zones on the films of `prediction` that Brixia's readers have scored."""
    halves = zone_rows(prediction, covid, seed=seed)
    extents = lung_zone_extents(prediction, fields)
    lungs = zone_rows(prediction, covid, seed=seed, extents=extents)
    return ZoneTable(name, {HALVES: halves, LUNGS: lungs})


def lung_zone_extents(prediction: Prediction, fields: Mapping[str, LungFields]) -> Floats:
    """Share of each zone of the lungs under boxes, each pixel times its highest score; (I, 6).

    A zone of a lung that was not found has the share 0: nothing is known of it.
    """
    covers = [
        zone_cover(fields[film.image_id], film.boxes.xyxy, film.scores)
        if isinstance(film, FilmPrediction)
        else np.full(len(ZONES), np.nan)
        for film in films_of_prediction(prediction)
    ]
    extents: Floats = np.nan_to_num(np.array(covers))
    return extents


def severity_rows(
    prediction: Prediction, covid: Manifest, fields: Mapping[str, LungFields], *, seed: int
) -> tuple[list[SeverityRow], Estimate]:
    """Severity with the extent in the halves of the film, in the lungs, and in both.

    The folds are the same for all. Also returns the paired difference of Pearson's r, lungs minus
    halves.
    """
    scored = scored_films(prediction, covid, SEVERITY)
    halves = scored.features()
    extent = [FEATURES.index(f"root_extent_{side}_half") for side in SIDES_ACROSS_FILM]
    shares = np.array(
        [
            np.nan_to_num(lung_cover(fields[film.image_id], film.boxes.xyxy, film.scores))
            for film in scored.films
        ]
    )
    lungs = halves.copy()
    lungs[:, extent] = np.sqrt(shares)
    features = {HALVES: halves, LUNGS: lungs, BOTH: np.column_stack([halves, np.sqrt(shares)])}
    cohen = covid.labels.set_index("image_id")["cohen"]
    known = np.isfinite(
        cohen.reindex([film.image_id for film in scored.films]).to_numpy(np.float64)
    )
    truth = scored.truth[known]
    patients = np.unique(scored.patients[known], return_inverse=True)[1]
    found = {
        name: out_of_fold(chosen, scored.truth, scored.patients)[known]
        for name, chosen in features.items()
    }
    measures = [pearson_measure(one, truth) for one in found.values()]
    measures += [_error_measure(one, truth) for one in found.values()]
    values = bootstrap_values(
        measures, patients, replicates=REPLICATES, seed=seed, largest=len(truth)
    )
    all_estimates = estimates(values)
    count = len(features)
    rows = [
        SeverityRow(
            name,
            len(truth),
            int(patients.max()) + 1,
            all_estimates[k],
            all_estimates[count + k],
        )
        for k, name in enumerate(features)
    ]
    return rows, estimates(values[:, [1]] - values[:, [0]])[0]


def held_out_part(prediction: Prediction, covid: Manifest) -> Prediction:
    """The films of patients that the lung network was not trained on."""
    images = covid.images
    ids = set(images.loc[images["split"] != "train", "image_id"])
    return subset_prediction(prediction, ids & set(prediction.images["image_id"]))


def _error_measure(found: Floats, truth: Floats) -> Measure:
    """Mean absolute error."""
    errors = np.abs(found - truth)[:, None]
    return Measure(
        ("mae",), lambda weights: (weights @ errors) / weights.sum(axis=1, keepdims=True)
    )
