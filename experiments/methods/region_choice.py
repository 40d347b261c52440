"""The detector's regions ranked by its score, by chance, and by who knows the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from data_manifests.boxes import iou_matrix
from data_manifests.tables.manifest import Manifest
from detector.roi_store import RoiStore
from experiments.core.repeats import drawn_id
from experiments.methods.film_guesses import FilmGuess, guess_prediction
from localize.network.ranking import rank_regions
from localize.prediction.tables import Prediction

Floats = NDArray[np.float64]
NMS_IOU, MAX_BOXES = 0.3, 10  # as in prediction
# An assignment that counts for the highest thresholds first, then for overlap itself.
THRESHOLD_WORTH = ((0.25, 1.0), (0.5, 1.0), (0.75, 1.0))
OVERLAP_WORTH = 1e-3


@dataclass(frozen=True)
class _Film:
    image_id: str
    width: int
    height: int
    xyxy: Floats
    scores: Floats


def score_prediction(store: RoiStore, manifest: Manifest, method: str) -> Prediction:
    """The detector alone: every film's regions by its own score, suppressed as in prediction.

    P(opacity) is the best score.

    Raises:
        DataError: a film without regions in the store.
    """
    guesses = [
        _guess(film, film.scores, probability=float(film.scores.max(initial=0)))
        for film in _films(store, manifest)
    ]
    return guess_prediction(guesses, method, {"regions": store.header.count})


def chance_prediction(store: RoiStore, manifest: Manifest, *, draws: int, seed: int) -> Prediction:
    """Every film's regions in random order, suppressed as in prediction; `draws` times.

    The films are those of `repeated_manifest(manifest, draws)`: evaluated against it, each metric
    is the mean over the draws. Scores are uniform random numbers.

    Raises:
        DataError: a film without regions in the store.
    """
    guesses = []
    films = list(_films(store, manifest))
    for draw in range(draws):
        for number, film in enumerate(films):
            values = np.random.default_rng((seed, draw, number)).random(len(film.xyxy))
            copy = replace(film, image_id=drawn_id(draw, film.image_id))
            guesses.append(_guess(copy, values, probability=None))
    return guess_prediction(guesses, "roi_chance", {"draws": draws, "seed": seed})


def _guess(film: _Film, values: Floats, *, probability: float | None) -> FilmGuess:
    """The regions that stay when they are ranked by `values` (R,), which become their scores."""
    kept = rank_regions(
        torch.from_numpy(film.xyxy), torch.from_numpy(values), nms_iou=NMS_IOU, limit=MAX_BOXES
    ).numpy()
    return FilmGuess(
        image_id=film.image_id,
        width=film.width,
        height=film.height,
        xyxy=film.xyxy[kept],
        scores=values[kept],
        probability=probability,
    )


def best_available_prediction(store: RoiStore, manifest: Manifest) -> Prediction:
    """The regions that somebody who knows the true boxes would choose, scored by their overlap.

    One region a true box, so that as many boxes as possible are found at .25, .5 and .75 together:
    what reweighting the detector's regions can reach at most. A film without true boxes gets none.

    Raises:
        DataError: a film without regions in the store.
    """
    true = manifest.boxes_by_image()
    guesses = []
    for film in _films(store, manifest):
        xyxy, scores = best_regions(film.xyxy, true.get(film.image_id, np.zeros((0, 4))))
        guesses.append(
            FilmGuess(
                image_id=film.image_id,
                width=film.width,
                height=film.height,
                xyxy=xyxy,
                scores=scores,
                probability=None,
            )
        )
    return guess_prediction(guesses, "best_available", {"regions": store.header.count})


def best_regions(regions: Floats, true: Floats) -> tuple[Floats, Floats]:
    """For true boxes (G, 4) the best different regions of (R, 4): boxes (K, 4), their IoU (K,)."""
    if not len(regions) or not len(true):
        return np.zeros((0, 4)), np.zeros(0)
    overlap = iou_matrix(regions, true)
    worth = OVERLAP_WORTH * overlap
    for threshold, value in THRESHOLD_WORTH:
        worth = worth + value * (overlap >= threshold)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return regions[rows], overlap[rows, columns]


def _films(store: RoiStore, manifest: Manifest) -> Iterator[_Film]:
    """The regions of the manifest's films, best first."""
    image_ids = manifest.images["image_id"].tolist()
    for image_id, row in zip(image_ids, store.rows_of(image_ids), strict=True):
        batch = store.read(np.array([row]))
        width, height = batch.sizes[0]
        boxes, scores = (
            part[0][batch.mask[0]].astype(float) for part in (batch.boxes, batch.scores)
        )
        yield _Film(image_id, int(width), int(height), boxes, scores)
