"""`fit_guard`: a film guard from training films, its threshold from validation films."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression

from data_manifests.films.other_images import Pixels, other_images
from data_manifests.support.arrays import Bools, Floats
from data_manifests.support.errors import DataError
from localize.bundle.film_guard import FilmGuard, guard_features, thumbnail

COMPONENTS = 40
FALSE_FLAGS = 0.02  # share of validation films that may be flagged
OTHERS_OF_A_KIND = 300
COPIES = 3  # of each film, cut and exposed a little differently, so that odd framing is no reason
MIN_FILMS = 2 * COMPONENTS
CHILD_C = 0.1  # of the regression of children's films; .03 to .3 call the same films


def fit_guard(
    train: Sequence[Pixels],
    val: Sequence[Pixels],
    *,
    is_child: Sequence[bool] | None = None,
    seed: int = 0,
) -> FilmGuard:
    """Fit on films (H, W) in [0, 1] against pictures made from a seed (see `other_images`).

    `is_child` tells children's films among those of `train`; with both kinds the guard knows them
    apart.

    Raises:
        DataError: too few films.
    """
    if len(train) < MIN_FILMS or not val:
        raise DataError(
            f"film guard: expected at least {MIN_FILMS} training films and some for validation, "
            f"got {len(train)} and {len(val)}; leave the guard out, or give more films"
        )
    rng = np.random.default_rng(seed)
    films = [*train, *(_varied(film, rng) for _ in range(COPIES) for film in train)]
    thumbs = np.array([thumbnail(film) for film in films])
    mean = thumbs.mean(axis=0)
    _, singular, basis = np.linalg.svd(thumbs - mean, full_matrices=False)
    basis, spread = basis[:COMPONENTS], singular[:COMPONENTS] / np.sqrt(len(thumbs))
    others = [
        picture
        for pictures in other_images(train, each=OTHERS_OF_A_KIND, rng=rng).values()
        for picture in pictures
    ]
    features = np.array([guard_features(one, mean, basis, spread) for one in [*films, *others]])
    is_film = np.arange(len(features)) < len(films)
    centre, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    fit = LogisticRegression(C=1.0, max_iter=5000, class_weight="balanced")
    fit.fit((features - centre) / scale, is_film)
    weights = fit.coef_[0] / scale
    intercept = float(fit.intercept_[0] - weights @ centre)
    guard = FilmGuard(mean, basis, spread, weights, intercept, threshold=0.0)
    threshold = np.quantile([guard.logit(film) for film in val], FALSE_FLAGS)
    # Never above even odds, however sure the fit is of all validation films.
    guard = replace(guard, threshold=float(min(threshold, 0.0)))
    if is_child is None or len(set(is_child)) < 2:
        return guard
    return _with_children(guard, features[: len(train)], np.array(is_child))


def _with_children(guard: FilmGuard, features: Floats, is_child: Bools) -> FilmGuard:
    """The guard with the regression of children's films (I,) against the other ones."""
    centre, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    fit = LogisticRegression(C=CHILD_C, max_iter=5000, class_weight="balanced")
    fit.fit((features - centre) / scale, is_child)
    weights = fit.coef_[0] / scale
    intercept = float(fit.intercept_[0] - weights @ centre)
    return replace(guard, child_weights=weights, child_intercept=intercept)


def _varied(film: Pixels, rng: np.random.Generator) -> Pixels:
    share = rng.uniform(0.85, 1.0)
    height, width = (max(1, int(side * share)) for side in film.shape)
    top = int(rng.integers(0, film.shape[0] - height + 1))
    left = int(rng.integers(0, film.shape[1] - width + 1))
    cut = np.clip(film[top : top + height, left : left + width], 0, 1) ** rng.uniform(0.7, 1.4)
    return cv2.resize(cut, film.shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
