"""`FilmRois`: the detector's ROIs of one film, and the prediction of any ranking of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from data_manifests.support.arrays import Floats
from data_manifests.tables.manifest import Manifest
from detector.roi_store import RoiStore
from experiments.methods.box_prediction import box_prediction, scored_film
from experiments.methods.inputs import ExperimentInput, TestSet
from localize.network.ranking import rank_regions
from localize.pipeline.stages import propose_stage
from localize.prediction.film_prediction import FilmPrediction
from localize.prediction.tables import Prediction

NMS_IOU, MAX_BOXES = 0.3, 10  # as in prediction


@dataclass(frozen=True)
class FilmRois:
    """The ROIs of a film: `xyxy` (R, 4) in film pixels and the detector's `scores` (R,)."""

    image_id: str
    width: int
    height: int
    xyxy: Floats
    scores: Floats

    def ranked(self, values: Floats, *, probability: float | None = None) -> FilmPrediction:
        """The ROIs by `values` (R,) in [0, 1], which become scores, after suppression."""
        kept = rank_regions(
            torch.from_numpy(self.xyxy), torch.from_numpy(values), nms_iou=NMS_IOU, limit=MAX_BOXES
        ).numpy()
        return scored_film(
            self.image_id,
            self.width,
            self.height,
            self.xyxy[kept],
            values[kept],
            probability=probability,
        )

    def by_score(self) -> FilmPrediction:
        """The ROIs by the detector's own score; P(opacity) is the highest score."""
        return self.ranked(self.scores, probability=float(self.scores.max(initial=0)))


def read_rois(store: RoiStore, films: Manifest) -> list[FilmRois]:
    """The ROIs of a manifest's films, in its order.

    Raises:
        DataError: a film that is not in the store.
    """
    image_ids = films.images["image_id"].tolist()
    found = []
    for image_id, row in zip(image_ids, store.rows_of(image_ids), strict=True):
        batch = store.read(np.array([row]))
        width, height = batch.sizes[0]
        xyxy, scores = (
            part[0][batch.mask[0]].astype(float) for part in (batch.boxes, batch.scores)
        )
        found.append(FilmRois(image_id, int(width), int(height), xyxy, scores))
    return found


def film_rois(
    inputs: ExperimentInput, films: Manifest, name: str, *, detector: Path | None = None
) -> list[FilmRois]:
    """The ROIs of films by a detector, default the one of `inputs`; the store is cached.

    `name` is the folder of the store below the detector's output folder.
    """
    parent = inputs.out if detector is None else detector.parent
    store = propose_stage(
        detector or inputs.parts.detector,
        films,
        parent / f"rois_{name}",
        options=inputs.proposals,
        device=inputs.device,
    )
    with closing(RoiStore(store)) as opened:
        return read_rois(opened, films)


def rank_test_rois(
    inputs: ExperimentInput,
    test: TestSet,
    rank: Callable[[FilmRois], FilmPrediction],
    method: str,
    *,
    detector: Path | None = None,
) -> Prediction:
    """A prediction of the test films in which `rank` orders each film's ROIs."""
    films = film_rois(inputs, test.films, test.folder, detector=detector)
    options = {"rois": inputs.proposals.count}
    return box_prediction([rank(film) for film in films], method, options)
