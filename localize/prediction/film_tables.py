"""`FilmPrediction`s as the tables of a `Prediction`, and back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from data_manifests.boxes import Boxes
from data_manifests.laterality import WHOLE_FILM
from data_manifests.support.errors import DataError, Problem
from data_manifests.tables.columns import CORNERS
from localize.prediction.film_prediction import FilmPrediction, SkippedFilm
from localize.prediction.tables import BOX_COLUMNS, IMAGE_COLUMNS, Prediction

SEVERITY_KEY = "severity"  # of prediction.json: low, high and residual of the severity model


def prediction_of_films(
    films: Iterable[FilmPrediction | SkippedFilm],
    keywords: tuple[str, ...] | None = None,
    info: Mapping[str, Any] | None = None,  # Any: whatever JSON holds
) -> Prediction:
    """The tables of films, in order.

    `keywords` are the attributes of the tables, by default those of the first predicted film; an
    attribute that a film does not have is blank. `info` becomes `prediction.json`.
    """
    films = list(films)
    if keywords is None:
        first = next((film for film in films if isinstance(film, FilmPrediction)), None)
        keywords = () if first is None else tuple(first.attributes)
    images: list[tuple[object, ...]] = []
    boxes: list[tuple[object, ...]] = []
    attributes: list[list[object]] = []
    for film in films:
        if isinstance(film, SkippedFilm):
            blank = (None, None, None, None, "", "")
            images.append((film.image_id, film.path, *blank, "skipped", film.error))
            attributes.append([film.image_id, *[None] * len(keywords)])
            continue
        size = film.boxes.width, film.boxes.height
        numbers = film.p_pneumonia, film.severity
        texts = film.opacity, film.warning
        images.append((film.image_id, film.path, *size, *numbers, *texts, "ok", ""))
        attributes.append([film.image_id, *(film.attributes.get(word) for word in keywords)])
        boxes += zip(
            [film.image_id] * len(film),
            *film.boxes.xyxy.T.tolist(),
            film.scores.tolist(),
            film.alphas.tolist(),
            film.detector_scores.tolist(),
            film.labels,
            [";".join(words) for words in film.box_attributes],
            strict=True,
        )
    return Prediction(
        images=pd.DataFrame(images, columns=list(IMAGE_COLUMNS)),
        boxes=pd.DataFrame(boxes, columns=list(BOX_COLUMNS)),
        attributes=pd.DataFrame(attributes, columns=["image_id", *keywords]),
        info={} if info is None else info,
    )


def films_of_prediction(prediction: Prediction) -> Iterator[FilmPrediction | SkippedFilm]:
    """The films of the tables, in their order; boxes best first.

    Raises:
        DataError: a film without a size, a box outside its film, a box without a score, or a
            probability outside [0, 1].
    """
    keywords = prediction.keywords()
    probabilities = prediction.attributes.set_index("image_id")[list(keywords)]
    words = probabilities.reindex(prediction.images["image_id"]).to_numpy(np.float64)
    boxes = _BoxColumns(prediction)
    operating_point, prevalence = prediction.operating_point(), prediction.prevalence()
    shown = set(prediction.shown_keywords())
    unproven = tuple(word for word in keywords if word not in shown)
    for number, row in enumerate(prediction.images.to_dict("records")):
        image_id = str(row["image_id"])
        if row["status"] != "ok":
            yield SkippedFilm(image_id, str(row["path"]), str(row["error"]))
            continue
        known = zip(keywords, words[number].tolist(), strict=True)
        severity = _number(row["severity"])
        try:
            yield _film(
                boxes,
                number,
                image_id=image_id,
                path=str(row["path"]),
                size=(_pixels(row["width"]), _pixels(row["height"])),
                attributes={word: value for word, value in known if math.isfinite(value)},
                p_pneumonia=_number(row["p_pneumonia"]),
                opacity=str(row.get("opacity", "")),
                severity=severity,
                severity_interval=severity_interval(prediction.info, severity),
                warning=str(row.get("warning", "")),
                operating_point=operating_point,
                prevalence=prevalence,
                unproven=unproven,
                borders=prediction.borders.get(image_id, WHOLE_FILM),
            )
        except ValueError as error:
            where = f"film {image_id!r}"
            problem = Problem("prediction", "boxes and numbers in range", str(error), field=where)
            raise DataError.from_problems([problem]) from error


def severity_interval(
    info: Mapping[str, Any], severity: float | None
) -> tuple[float, float] | None:
    """The 90 % interval of a score by the model of `prediction.json`, inside its range of scores.

    None where the severity or the model's range is not known.
    """
    stated = info.get(SEVERITY_KEY)
    if severity is None or not isinstance(stated, dict):
        return None
    low, high, residual = (_number(stated.get(name)) for name in ("low", "high", "residual"))
    if low is None or high is None or residual is None:
        return None
    return max(severity - residual, low), min(severity + residual, high)


class _BoxColumns:
    """The columns of `boxes.csv`, by film and falling score; film k has the rows `part(k)`.

    Slices of arrays: a slice of a table takes a hundred times as long.
    """

    def __init__(self, prediction: Prediction) -> None:
        table = prediction.boxes
        ids = prediction.images["image_id"].astype("str")
        film = pd.Index(ids).get_indexer(pd.Index(table["image_id"].astype("str")))
        order = np.lexsort((-table["score"].to_numpy(np.float64), film))  # stable
        self.corners = table[list(CORNERS)].to_numpy(np.float64)[order]
        self.numbers = table[["score", "alpha", "detector_score"]].to_numpy(np.float64)[order]
        self.labels = tuple(map(str, table["label"].to_numpy()[order]))
        self.attributes = [str(text) for text in table["attributes"].to_numpy()[order]]
        self._bounds = np.searchsorted(film[order], np.arange(len(ids) + 1))

    def part(self, number: int) -> slice:
        """The rows of a film."""
        return slice(int(self._bounds[number]), int(self._bounds[number + 1]))


def _film(
    columns: _BoxColumns, number: int, *, size: tuple[int, int], **fields: Any
) -> FilmPrediction:
    """Any: the fields of a `FilmPrediction` that are not in the table of boxes."""
    part = columns.part(number)
    scores, alphas, detector_scores = columns.numbers[part].T
    return FilmPrediction(
        boxes=Boxes(columns.corners[part], *size),
        scores=scores,
        alphas=alphas,
        detector_scores=detector_scores,
        labels=columns.labels[part],
        box_attributes=tuple(
            tuple(word.strip() for word in text.split(";") if word.strip())
            for text in columns.attributes[part]
        ),
        **fields,
    )


def _number(value: object) -> float | None:
    number = float(value) if isinstance(value, int | float | np.number) else math.nan
    return number if math.isfinite(number) else None


def _pixels(value: object) -> int:
    number = _number(value)
    if number is None or number < 1:
        raise ValueError(f"expected width and height in pixels, got {value}")
    return int(number)
