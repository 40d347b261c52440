"""`answer_film`: a film's calibrated, cut-off `FilmPrediction` from its ranked regions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from data_manifests.boxes import Boxes
from data_manifests.tables.columns import BOX_LABEL
from localize.bundle.bundle import Bundle
from localize.inference.film_regions import FilmRegions
from localize.inference.options import PredictOptions
from localize.prediction.film_prediction import FilmPrediction

MIN_ATTRIBUTE = 0.5  # probability from which a box carries a keyword
SEVERITY_BOXES = 10  # a film's severity rests on these, however many boxes the user asks for
MIN_SIDE_PX = 0.5  # a box thinner than this in film pixels cannot be drawn


def answer_film(
    image_id: str, regions: FilmRegions, bundle: Bundle, options: PredictOptions
) -> FilmPrediction:
    """Scores, P(pneumonia), attributes and severity of one film; no path and no warning yet.

    `regions` are at least `SEVERITY_BOXES`, as far as the film has them: severity does not depend
    on `max_boxes` and `min_score`.
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
    keywords = bundle.words.keywords
    probability = calibration.film_probability(regions.film_sum, regions.film_max)
    film = FilmPrediction(
        image_id=image_id,
        path="",
        boxes=Boxes(xyxy[rows], regions.width, regions.height),
        scores=scores[rows],
        alphas=regions.alpha[rows],
        detector_scores=regions.detector_scores[rows],
        labels=(BOX_LABEL,) * len(rows),
        box_attributes=tuple(
            tuple(word for word, p in zip(keywords, row, strict=True) if p >= MIN_ATTRIBUTE)
            for row in regions.region_attributes[rows]
        ),
        attributes=dict(zip(keywords, regions.attributes.round(6).tolist(), strict=True)),
        p_pneumonia=probability,
        opacity=calibration.opacity(probability),
        operating_point=None if is_baseline else calibration.operating_point,
    )
    if bundle.severity is not None and not is_baseline:
        score = bundle.severity.score(film.select(np.arange(len(film)) < SEVERITY_BOXES))
        severity = float(np.round(score, 4))
        interval = bundle.severity.interval(severity)
        film = replace(film, severity=severity, severity_interval=interval)
    is_shown = (np.arange(len(film)) < options.max_boxes) & (film.scores >= options.min_score)
    return film if is_shown.all() else film.select(is_shown)
