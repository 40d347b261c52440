"""`zone_rows`: the boxes' extent in each zone of the lungs against Brixia zone scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_manifests.laterality import WHOLE_FILM
from data_manifests.support.arrays import Floats
from data_manifests.tables.manifest import Manifest
from experiments.data.open_films import BRIXIA_ZONES, ZONE_COLUMNS
from localize.evaluation.bootstrap import Estimate, bootstrap_values, estimates
from localize.evaluation.measure import Measure, divide
from localize.prediction.tables import Prediction

BOX = ("x1", "y1", "x2", "y2", "score")
REPLICATES = 1000


@dataclass(frozen=True)
class ZoneRow:
    """One zone: Pearson's r of `zone_extents` with the senior reader, and of the two readers."""

    zone: str
    name: str
    films: int
    patients: int
    pearson: Estimate
    readers: Estimate


def zone_rows(
    prediction: Prediction, manifest: Manifest, *, seed: int, extents: Floats | None = None
) -> list[ZoneRow]:
    """A row for each zone, on the predicted films that both readers have scored.

    Nothing is fitted: the extents (I, 6), `zone_extents` by default, are correlated as they are.
    Intervals resample patients.
    """
    table = manifest.labels.set_index("image_id")[list(ZONE_COLUMNS)].astype("float64")
    truth = table.reindex(prediction.images["image_id"]).to_numpy(np.float64)
    scored = np.isfinite(truth).all(axis=1)
    image_ids = prediction.images.loc[scored, "image_id"]
    patients = manifest.images.set_index("image_id")["patient_id"].reindex(image_ids)
    codes = np.asarray(patients.astype("category").cat.codes, np.int64)
    extents = (zone_extents(prediction) if extents is None else extents)[scored]
    senior, junior = np.split(truth[scored], 2, axis=1)
    ours, readers = (_pearson(columns, senior) for columns in (extents, junior))
    values = bootstrap_values(
        [ours, readers], codes, replicates=REPLICATES, seed=seed, largest=len(codes)
    )
    found = estimates(values)
    count = len(BRIXIA_ZONES)
    return [
        ZoneRow(zone, name, len(codes), len(np.unique(codes)), found[k], found[count + k])
        for k, (zone, name) in enumerate(BRIXIA_ZONES.items())
    ]


def zone_extents(prediction: Prediction) -> Floats:
    """Share of the film that the boxes cover in each zone, each box times its score; (I, 6).

    The zones are those of `LungBorders.zone_rectangles`.
    """
    images = prediction.images
    sizes = images[["width", "height"]].to_numpy(np.float64)
    row_of = {image_id: row for row, image_id in enumerate(images["image_id"])}
    zones = WHOLE_FILM.zone_rectangles().tolist()
    rows = np.array([row_of[image_id] for image_id in prediction.boxes["image_id"]], np.int64)
    x1, y1, x2, y2, score = prediction.boxes[list(BOX)].to_numpy(np.float64).T
    width, height = sizes[rows].T
    parts = [
        score
        * _overlap(x1 / width, x2 / width, left, right)
        * _overlap(y1 / height, y2 / height, top, bottom)
        for left, top, right, bottom in zones
    ]
    covered = np.stack(parts, axis=1)
    extents = np.zeros((len(images), len(BRIXIA_ZONES)))
    np.add.at(extents, rows, covered)
    return extents


def _overlap(low: Floats, high: Floats, start: float, end: float) -> Floats:
    share: Floats = np.maximum(np.minimum(high, end) - np.maximum(low, start), 0.0)
    return share


def _pearson(left: Floats, right: Floats) -> Measure:
    """Pearson's r of each column of `left` with that of `right`, both (I, M)."""

    def values(weights: Floats) -> Floats:
        total = weights.sum(axis=1, keepdims=True)

        def mean(columns: Floats) -> Floats:
            return divide(weights @ columns, total)

        a, b = mean(left), mean(right)
        spread = (mean(left**2) - a**2) * (mean(right**2) - b**2)
        return divide(mean(left * right) - a * b, np.sqrt(np.maximum(spread, 0.0)))

    return Measure(tuple(BRIXIA_ZONES), values)
