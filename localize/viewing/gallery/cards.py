"""`Card`: what a page shows of one film, as plain rounded numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np

from data_manifests.support.arrays import Floats
from data_manifests.support.membership import is_member
from data_manifests.tables.manifest import Manifest
from localize.prediction.film_prediction import FilmPrediction, SkippedFilm
from localize.prediction.film_tables import films_of_prediction
from localize.prediction.prediction_folder import PredictedFilms

Corners = tuple[float, float, float, float]
DECIMALS = 4  # of probabilities and scores; boxes have two decimals of a pixel
NO_BOXES = np.zeros((0, 4))


@dataclass(frozen=True)
class CardBox:
    """A predicted box in film pixels, with its keywords."""

    xyxy: Corners
    score: float
    label: str
    attributes: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """One film of a page; see `FilmPrediction` for the fields.

    `true_boxes` are None where the truth is not known; an empty tuple means that the film has none.
    `attributes` hold one probability for each keyword of the page, None where not known.
    """

    id: str
    width: int
    height: int
    p_pneumonia: float | None
    severity: float | None
    severity_low: float | None
    severity_high: float | None
    boxes: tuple[CardBox, ...]
    true_boxes: tuple[Corners, ...] | None
    attributes: tuple[float | None, ...]
    opacity: str = ""
    warning: str = ""
    prevalence: float | None = None


def film_card(
    film: FilmPrediction,
    keywords: tuple[str, ...],
    true_boxes: Floats | None = None,
) -> Card:
    """The card of a film; `true_boxes` (N, 4) in film pixels where known."""
    shown = film.shown_attributes()
    low, high = film.severity_interval or (None, None)
    boxes = zip(
        _corners(film.boxes.xyxy),
        film.scores.tolist(),
        film.labels,
        film.box_attributes,
        strict=True,
    )
    return Card(
        id=film.image_id,
        width=film.boxes.width,
        height=film.boxes.height,
        p_pneumonia=rounded(film.p_pneumonia),
        severity=rounded(film.severity),
        severity_low=rounded(low),
        severity_high=rounded(high),
        boxes=tuple(
            CardBox(xyxy, round(score, DECIMALS), label, words)
            for xyxy, score, label, words in boxes
        ),
        true_boxes=None if true_boxes is None else _corners(true_boxes),
        attributes=tuple(rounded(shown.get(word)) for word in keywords),
        opacity=film.opacity,
        warning=film.warning,
        prevalence=film.prevalence,
    )


def film_cards(prediction: PredictedFilms, manifest: Manifest | None, *, limit: int) -> list[Card]:
    """The first `limit` predicted films, by falling P(pneumonia).

    Raises:
        DataError: see `films_of_prediction`.
    """
    keywords = prediction.keywords()
    films = (film for part in prediction.parts() for film in films_of_prediction(part))
    shown = list(islice((film for film in films if isinstance(film, FilmPrediction)), limit))
    true: Mapping[str, Floats] = {}
    if manifest is not None:
        part = manifest.subset(
            list(is_member(manifest.images["image_id"], [f.image_id for f in shown]))
        )
        boxes = part.boxes_by_image()
        true = {name: boxes.get(name, NO_BOXES) for name in part.images["image_id"]}
    cards = [film_card(f, keywords, true.get(f.image_id)) for f in shown]
    return sorted(cards, key=lambda card: -(card.p_pneumonia or 0.0))


def skipped_films(prediction: PredictedFilms) -> list[SkippedFilm]:
    """The films that could not be read."""
    found = []
    for part in prediction.parts():
        rows = part.images[part.images["status"] != "ok"]
        columns = (rows[name].astype("str") for name in ("image_id", "path", "error"))
        found += [SkippedFilm(*row) for row in zip(*columns, strict=True)]
    return found


def _corners(xyxy: Floats) -> tuple[Corners, ...]:
    return tuple((x1, y1, x2, y2) for x1, y1, x2, y2 in xyxy.round(2).tolist())


def rounded(value: float | None) -> float | None:
    """A number with the decimals of a card."""
    return None if value is None else round(value, DECIMALS)
