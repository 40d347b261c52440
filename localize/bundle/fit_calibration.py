"""`fit_calibration`: the coefficients of a bundle's calibration, from validation films."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.linear_model import LogisticRegression

from data_manifests.boxes import iou_matrix
from data_manifests.support.arrays import Bools, Floats
from data_manifests.support.errors import DataError
from localize.bundle.calibration import Calibration, FilmLogit, logit_of
from localize.bundle.place_words import PLACE_WORDS, film_place_words, true_place_words

logger = logging.getLogger(__name__)
MATCH_IOU = 0.5  # a box is right when it overlaps a true box by half, as in the headline metric
# In logits. A feature that hardly varies in validation must not get a steep slope: films of another
# hospital lie far outside its range.
MIN_SPREAD = 0.5
ERROR_RATE = 0.1  # of either kind of film, for the conformal sets
FALSE_POSITIVES = 0.5  # a film, at the operating point
MIN_EXAMPLES = 10  # films of either kind, for a word of place
MIN_OF_KIND = 10  # films of a source with and without an opacity, to weigh it by itself
PREVALENCE = 0.5  # for which P(pneumonia) is stated after a fit on several sources
MIN_ALPHA = 1e-3  # a fit on few films may turn negative and would reverse the film's order


@dataclass(frozen=True)
class ValidationFilm:
    """The ranked boxes of a film before calibration, and its truth.

    Args:
        xyxy: (K, 4) boxes in film pixels, best first.
        log_alpha: (K,) log of their weights.
        film_sum, film_max: log-sum-exp and maximum of the detector's logits over all regions.
        true_boxes: (N, 4) in film pixels; None where not known.
        has_opacity: the film's label; None where not known.
        film_tail: see `FilmRegions`; needed for a calibration of several sources.
        width, height: of the film, px; needed for the same.
        source: where the film comes from; used by the same.
        is_child: a child's film; used by the same.
    """

    xyxy: Floats
    log_alpha: Floats
    film_sum: float
    film_max: float
    true_boxes: Floats | None
    has_opacity: bool | None
    film_tail: Floats = field(default_factory=lambda: np.zeros(0))
    width: int = 0
    height: int = 0
    source: str = ""
    is_child: bool = False


def fit_calibration(
    films: Sequence[ValidationFilm], *, several_sources: bool = False
) -> Calibration:
    """Fit box scores and film probabilities on validation films.

    With `several_sources` the film's probability also rests on `film_tail`. Its coefficients are
    fitted for children and others apart, and as if in each source half of the films had an opacity:
    sources differ in this share, and the map must not learn it. P(pneumonia) is then stated for
    the share PREVALENCE. Words of side, zone and number are calibrated, so that predictions take
    them from the boxes (see `localize.bundle.place_words`), and an operating point is chosen.

    Raises:
        DataError: no ranked box on a film with known boxes, or films of one kind only.
    """
    features, labels = [], []
    for film in films:
        if film.true_boxes is None:
            continue
        matched = _matches(film.xyxy, film.true_boxes)
        features += [[value, film.film_sum] for value in film.log_alpha]
        labels += matched.tolist()
    if not labels:
        raise DataError(
            "calibration: expected ranked boxes on validation films whose true boxes are known, "
            "got none; use films with boxes"
        )
    box_fit = _fit_boxes(np.array(features), np.array(labels))
    known = [film for film in films if film.has_opacity is not None]
    film_labels = np.array([bool(film.has_opacity) for film in known])
    if not 0 < film_labels.sum() < len(film_labels):
        raise DataError(
            f"calibration: expected validation films with and without opacity, got "
            f"{int(film_labels.sum())} of {len(film_labels)} with"
        )
    is_child = np.array([film.is_child for film in known])
    has_children = several_sources and _has_both_kinds(film_labels[is_child])
    has_children &= _has_both_kinds(film_labels[~is_child])
    kept = ~is_child if has_children else np.ones(len(known), bool)
    own = _fit_films([known[k] for k in np.flatnonzero(kept)], several_sources=several_sources)
    fitted = Calibration(
        box_intercept=box_fit[0],
        box_alpha=box_fit[1],
        box_film=box_fit[2],
        film_intercept=own.intercept,
        film_sum=own.film_sum,
        film_max=own.film_max,
        film_tail=own.film_tail,
        films=len(films),
        boxes=len(labels),
    )
    if several_sources:
        fitted = replace(fitted, prevalence=PREVALENCE)
    if has_children:
        children = [film for film in known if film.is_child]
        fitted = replace(fitted, child=_fit_films(children, several_sources=True))
    probabilities = np.array(
        [
            fitted.film_probability(
                film.film_sum, film.film_max, film.film_tail, is_child=film.is_child
            )
            for film in known
        ]
    )
    least_yes, most_no = conformal_bounds(probabilities, film_labels)
    fitted = replace(fitted, least_yes=least_yes, most_no=most_no)
    if not several_sources:
        return fitted
    return replace(
        fitted,
        place_words=_fit_place_words(films, fitted),
        operating_point=_operating_point(films, fitted),
    )


def _fit_films(films: Sequence[ValidationFilm], *, several_sources: bool) -> FilmLogit:
    """The film's logit from films whose label is known."""
    labels = np.array([bool(film.has_opacity) for film in films])
    features = [
        [film.film_sum, film.film_max, *(film.film_tail if several_sources else ())]
        for film in films
    ]
    weights = balanced_weights(labels, [film.source for film in films]) if several_sources else None
    intercept, film_sum, film_max, *tail = _fit(np.array(features), labels, weights)
    return FilmLogit(intercept, film_sum, film_max, tuple(tail))


def balanced_weights(labels: Bools, sources: Sequence[str]) -> Floats:
    """Weights (I,), mean 1: a source counts by its films, and half of it as if with an opacity.

    Sources with fewer than MIN_OF_KIND films of either kind count as one; where that one lacks a
    kind, all films do.
    """
    names = np.array(sources, dtype=object)
    for name in set(sources):
        if not _has_both_kinds(labels[names == name]):
            names[names == name] = None
    rest = labels[[name is None for name in names]]
    if len(rest) and not 0 < rest.sum() < len(rest):
        names[:] = None
    weights = np.zeros(len(labels))
    for name in set(names):
        of_source = np.array([one == name for one in names])
        for kind in (True, False):
            rows = of_source & (labels == kind)
            weights[rows] = of_source.sum() / (2 * rows.sum())
    return weights


def _has_both_kinds(labels: Bools) -> bool:
    return bool(min(labels.sum(), len(labels) - labels.sum()) >= MIN_OF_KIND)


def _fit_place_words(
    films: Sequence[ValidationFilm], fitted: Calibration
) -> dict[str, tuple[float, float]]:
    """Intercept and slope of each word of place, from films whose true boxes are known."""
    truth: dict[str, list[bool]] = {word: [] for word in PLACE_WORDS}
    logits: dict[str, list[float]] = {word: [] for word in PLACE_WORDS}
    for film in films:
        if film.true_boxes is None:
            continue
        size = film.width, film.height
        scores = fitted.box_scores(film.log_alpha, film.film_sum)
        found = film_place_words(film.xyxy, scores, *size)
        true = true_place_words(film.true_boxes, *size)
        for word in PLACE_WORDS:
            truth[word].append(true[word])
            logits[word].append(logit_of(found[word]))
    coefficients = {}
    for word in PLACE_WORDS:
        present = np.array(truth[word])
        if min(present.sum(), len(present) - present.sum()) < MIN_EXAMPLES:
            continue
        intercept, slope = _fit(np.array(logits[word])[:, None], present)
        if slope > 0:  # else the boxes say nothing of it
            coefficients[word] = (intercept, slope)
    return coefficients


def _operating_point(films: Sequence[ValidationFilm], fitted: Calibration) -> float | None:
    """The lowest box score at which FALSE_POSITIVES boxes a film match no true one."""
    wrong, count = [], 0
    for film in films:
        if film.true_boxes is None:
            continue
        count += 1
        scores = fitted.box_scores(film.log_alpha, film.film_sum)
        wrong += scores[~_matches(film.xyxy, film.true_boxes)].tolist()
    allowed = int(FALSE_POSITIVES * count)
    if len(wrong) <= allowed:
        return None
    return float(np.sort(wrong)[::-1][allowed])


def conformal_bounds(probabilities: Floats, has_opacity: Bools) -> tuple[float, float]:
    """The least P of a possible `yes` and the greatest P of a possible `no`.

    The floor(ERROR_RATE (n + 1))-th lowest of the n films with an opacity, and highest of those
    without; with fewer than 1/ERROR_RATE - 1 films of a kind nothing can be excluded.
    """
    positive, negative = np.sort(probabilities[has_opacity]), np.sort(probabilities[~has_opacity])
    low = int(ERROR_RATE * (len(positive) + 1))
    high = int(ERROR_RATE * (len(negative) + 1))
    least_yes = float(positive[low - 1]) if low else 0.0
    most_no = float(negative[len(negative) - high]) if high else 1.0
    return least_yes, most_no


def _matches(xyxy: Floats, true: Floats) -> Bools:
    """Which boxes match a true box that no better-ranked box took; (K,)."""
    overlap = iou_matrix(xyxy, true) if len(true) else np.zeros((len(xyxy), 0))
    is_match = np.zeros(len(xyxy), bool)
    for k in range(len(xyxy)):
        if overlap.shape[1] and overlap[k].max() >= MATCH_IOU:
            is_match[k] = True
            overlap[:, overlap[k].argmax()] = 0
    return is_match


def _fit_boxes(features: Floats, labels: Bools) -> list[float]:
    """Intercept and coefficients of (log alpha, film) for boxes that match or do not."""
    if labels.all() or not labels.any():
        # Nothing tells boxes apart: all get the smoothed rate (Platt 1999, section 2.2).
        logger.warning("%d of %d validation boxes match a true one", labels.sum(), len(labels))
        odds = (labels.sum() + 1) / (len(labels) - labels.sum() + 1)
        return [float(np.log(odds)), MIN_ALPHA, 0.0]
    fit = _fit(features, labels)
    if fit[1] < MIN_ALPHA:  # refitted without alpha, so that the level stays right
        intercept, film = _fit(features[:, 1:], labels)
        return [intercept, MIN_ALPHA, film]
    return fit


def _fit(features: Floats, labels: Bools, weights: Floats | None = None) -> list[float]:
    """Intercept and coefficients of a logistic regression, in the features' own units."""
    mean, spread = features.mean(axis=0), np.maximum(features.std(axis=0), MIN_SPREAD)
    fit = LogisticRegression(C=1.0).fit((features - mean) / spread, labels, weights)
    coefficients = fit.coef_[0] / spread
    intercept = float(fit.intercept_[0] - (coefficients * mean).sum())
    return [intercept, *map(float, coefficients)]
