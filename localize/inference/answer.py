"""`answer_film`: a film's calibrated, cut-off `FilmPrediction` from its ranked regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from data_manifests.boxes import Boxes
from data_manifests.support.arrays import Floats, Ints
from data_manifests.tables.columns import BOX_LABEL
from localize.bundle.bundle import Bundle
from localize.bundle.place_words import film_place_words, words_of_boxes
from localize.inference.film_regions import FilmRegions
from localize.inference.options import PredictOptions
from localize.prediction.film_prediction import FilmPrediction

MIN_ATTRIBUTE = 0.5  # probability from which a box carries a keyword
SEVERITY_BOXES = 10  # a film's severity rests on these, however many boxes the user asks for
MIN_SIDE_PX = 0.5  # a box thinner than this in film pixels cannot be drawn


@dataclass(frozen=True)
class _Words:
    """Keyword probabilities of a film, and the keywords of each of its boxes."""

    film: Mapping[str, float]
    boxes: tuple[tuple[str, ...], ...]


def answer_film(
    image_id: str,
    regions: FilmRegions,
    bundle: Bundle,
    options: PredictOptions,
    *,
    is_child: bool = False,
) -> FilmPrediction:
    """Scores, P(pneumonia), attributes and severity of one film; no path and no warning yet.

    `regions` are at least `SEVERITY_BOXES`, as far as the film has them: severity does not depend
    on `max_boxes` and `min_score`, nor on `prevalence`. `is_child` is what the film guard says.
    """
    calibration, is_baseline = bundle.calibration, options.ranking == "detector"
    if is_baseline:
        scores = regions.detector_scores
    else:
        scores = calibration.box_scores(regions.log_alpha, regions.film_sum)
    xyxy = regions.xyxy.round(3)
    is_drawable = (xyxy[:, 2:] - xyxy[:, :2] >= MIN_SIDE_PX).all(axis=1)
    rows = np.flatnonzero(is_drawable)
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    words = _words(regions, rows, scores, bundle, is_baseline=is_baseline)
    probability = calibration.film_probability(
        regions.film_sum, regions.film_max, regions.film_tail, is_child=is_child
    )
    film = FilmPrediction(
        image_id=image_id,
        path="",
        boxes=Boxes(xyxy[rows], regions.width, regions.height),
        scores=scores[rows],
        alphas=regions.alpha[rows],
        detector_scores=regions.detector_scores[rows],
        labels=(BOX_LABEL,) * len(rows),
        box_attributes=words.boxes,
        attributes=words.film,
        p_pneumonia=probability,
        opacity=calibration.opacity(probability),
        operating_point=None if is_baseline else calibration.operating_point,
    )
    if bundle.severity is not None and not is_baseline:
        score = bundle.severity.score(film.select(np.arange(len(film)) < SEVERITY_BOXES))
        severity = float(np.round(score, 4))
        interval = bundle.severity.interval(severity)
        film = replace(film, severity=severity, severity_interval=interval)
    film = replace(
        film,
        p_pneumonia=calibration.at(probability, options.prevalence),
        prevalence=options.prevalence or calibration.prevalence,
        unproven=bundle.unproven_keywords,
    )
    is_shown = (np.arange(len(film)) < options.max_boxes) & (film.scores >= options.min_score)
    return film if is_shown.all() else film.select(is_shown)


def _words(
    regions: FilmRegions, rows: Ints, scores: Floats, bundle: Bundle, *, is_baseline: bool
) -> _Words:
    """Words of place from the boxes where the bundle calibrates them, others from the head.

    The film's words rest on the best `SEVERITY_BOXES` of `rows`, as its severity does.
    """
    keywords, calibration = bundle.words.keywords, bundle.calibration
    placed = () if is_baseline else tuple(calibration.place_words)
    shown = set(keywords) - set(bundle.unproven_keywords)
    film = dict(zip(keywords, regions.attributes.round(6).tolist(), strict=True))
    by_head = [
        tuple(
            word
            for word, p in zip(keywords, row, strict=True)
            if p >= MIN_ATTRIBUTE and word in shown and word not in placed
        )
        for row in regions.region_attributes[rows]
    ]
    if not placed:
        return _Words(film, tuple(by_head))
    size = regions.width, regions.height
    best = rows[:SEVERITY_BOXES]
    by_boxes = film_place_words(regions.xyxy[best], scores[best], *size)
    for word in placed:
        film[word] = round(calibration.place_probability(word, by_boxes[word]), 6)
    own = words_of_boxes(regions.xyxy[rows], *size)
    return _Words(
        film,
        tuple(
            (*(word for word in words if word in placed), *others)
            for words, others in zip(own, by_head, strict=True)
        ),
    )
