"""`fit_to_films`: the parts of a localizer that are computed from the films before training."""

from __future__ import annotations

import numpy as np
import torch

from attributes.vectors.word_vectors import WordVectors
from data_manifests.support.arrays import Bools, Ints
from detector.roi_store import RoiStore
from localize.network.film_evidence import film_evidence
from localize.network.film_head import FilmHead, fit_film_head
from localize.network.fusion import RegionFusion
from localize.network.localizer import Localizer, Regions
from localize.training.pairs import Pairs
from localize.training.training_data import TrainingData

PLACE_AXES = ("laterality", "zone")
STATISTICS_FILMS = 512  # films that give the mean and standard deviation of the region features
FILMS_READ = 32  # of these at a time, for their memory
MIN_STD = 1e-3  # a channel that is always zero (dead ReLU) must not divide by zero
CPU = torch.device("cpu")


def fit_to_films(model: Localizer, data: TrainingData, *, fit_attributes: bool) -> None:
    """Set feature statistics and place keywords; with `fit_attributes` fit the film head.

    Raises:
        FloatingPointError: features, scores or boxes that are not finite; names the films.
    """
    fit_feature_statistics(model.fusion, data.store, data.train)
    mark_place_keywords(model, data.words)
    if fit_attributes and model.film_head is not None:
        fit_head(model.film_head, data.store, data.train)


def fit_feature_statistics(fusion: RegionFusion, store: RoiStore, pairs: Pairs) -> None:
    """Mean and standard deviation of the region features, from evenly spaced training films."""
    rows = pairs.rows[:: max(1, len(pairs) // STATISTICS_FILMS)]
    width = len(fusion.feature_mean)
    count, total, squares = 0, np.zeros(width), np.zeros(width)
    for some in np.array_split(rows, -(-len(rows) // FILMS_READ)):
        batch = store.read(some)
        is_finite = np.asarray(np.isfinite(batch.features).all(axis=(1, 2)), dtype=np.bool_)
        _check_finite("features", is_finite, some, store, pairs)
        features = batch.features[batch.mask].astype(np.float64)
        count += len(features)
        total += features.sum(axis=0)
        squares += (features**2).sum(axis=0)
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    fusion.feature_mean.copy_(torch.from_numpy(mean))
    fusion.feature_std.copy_(torch.from_numpy(np.maximum(std, MIN_STD)))


def mark_place_keywords(model: Localizer, words: WordVectors) -> None:
    """Mark the keywords of place; "bilateral" is none, no single box shows it."""
    places = [
        axis in PLACE_AXES and keyword != "bilateral"
        for keyword, axis in zip(words.keywords, words.axes, strict=True)
    ]
    model.is_place.copy_(torch.tensor(places))


def fit_head(head: FilmHead, store: RoiStore, pairs: Pairs) -> None:
    """Fit the film head on the evidence of all training films."""
    evidence = []
    for rows in np.array_split(pairs.rows, -(-len(pairs) // FILMS_READ)):
        regions = Regions.from_batch(store.read(rows), CPU)
        found = film_evidence(regions.geometry, regions.score_logits(), regions.mask)
        is_finite = torch.isfinite(found).all(dim=1).numpy()
        _check_finite("scores or boxes", is_finite, rows, store, pairs)
        evidence.append(found.double().numpy())
    fit_film_head(head, np.concatenate(evidence), pairs.targets, pairs.mask)


def _check_finite(what: str, is_finite: Bools, rows: Ints, store: RoiStore, pairs: Pairs) -> None:
    if not is_finite.all():
        films = ", ".join(np.array(pairs.image_ids)[np.isin(pairs.rows, rows[~is_finite])])
        raise FloatingPointError(
            f"{store.folder}: {what} not finite on films {films}; propose these films again"
        )
