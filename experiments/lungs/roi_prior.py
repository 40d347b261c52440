"""`prior_rows`: box scores lowered outside the lungs, against the scores as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from data_manifests.tables.columns import CORNERS
from data_manifests.tables.manifest import Manifest
from detector.lungs.lung_fields import LungFields
from detector.lungs.lung_shares import inside_shares
from experiments.data.box_films import TEST_GROUPS
from experiments.tables.table2_runs import subset_prediction
from localize.evaluation.bootstrap import Estimate
from localize.evaluation.evaluate import evaluate
from localize.prediction.tables import Prediction

KEYS = ("iou_at_0.25", "iou_at_0.5", "ap_at_0.5")
GROUPS = ("rsna", "siim")
# Exponents of the share inside the lungs that multiplies a score; 0 is no prior.
STRENGTHS = (0.0, 0.25, 0.5, 1.0)


@dataclass(frozen=True)
class PriorRow:
    """One exponent on the validation films of one group: metrics and their paired differences to no
    prior (None for itself)."""

    group: str
    strength: float
    films: int
    values: Mapping[str, Estimate]
    differences: Mapping[str, Estimate | None]


def prior_rows(
    prediction: Prediction, films: Manifest, fields: Mapping[str, LungFields], *, seed: int
) -> list[PriorRow]:
    """A row for each group and strength."""
    rows = []
    for group in GROUPS:
        part = films.subset(films.images["source"].isin(TEST_GROUPS[group]))
        own = subset_prediction(prediction, set(part.images["image_id"]))
        for strength in STRENGTHS:
            changed = with_prior(own, fields, strength)
            found = evaluate(changed, part, baseline=own if strength else None, seed=seed)
            rows.append(
                PriorRow(
                    group,
                    strength,
                    found.films.evaluated,
                    {key: found.row(key).estimate for key in KEYS},
                    {key: found.row(key).difference for key in KEYS},
                )
            )
    return rows


def with_prior(
    prediction: Prediction, fields: Mapping[str, LungFields], strength: float
) -> Prediction:
    """Each box's score times its share inside the lungs to the power of `strength`; best first.

    Films on which a lung is missing stay as they are: the box may lie in it.
    """
    boxes = prediction.boxes
    xyxy = boxes[list(CORNERS)].to_numpy(np.float64)
    scores = boxes["score"].to_numpy(np.float64).copy()
    rows_of = boxes.groupby("image_id", sort=False).indices
    for image_id, rows in rows_of.items():
        if fields[str(image_id)].is_complete:
            scores[rows] *= inside_shares(fields[str(image_id)], xyxy[rows]) ** strength
    film = pd.Series(range(len(prediction.images)), index=prediction.images["image_id"])
    order = np.lexsort((-scores, film.reindex(boxes["image_id"]).to_numpy()))
    changed = boxes.assign(score=scores).iloc[order].reset_index(drop=True)
    return replace(prediction, boxes=changed)
