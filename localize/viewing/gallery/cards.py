"""`film_cards`: what the page shows of each film, from a prediction and maybe the truth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_manifests.tables.columns import CORNERS
from data_manifests.tables.manifest import Manifest
from localize.prediction.tables import Prediction
from localize.severity.interval import SeverityRange, severity_range

Corners = tuple[float, float, float, float]
DECIMALS = 4  # of probabilities and scores; boxes keep two decimals of a pixel


@dataclass(frozen=True)
class CardBox:
    """A predicted box in film pixels; `attributes` are its keywords, `score` None where unknown."""

    xyxy: Corners
    score: float | None
    label: str
    attributes: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """One film of the page.

    `boxes` are best first; `true_boxes` None where the film's truth is not known (an empty tuple:
    known to have none). `attributes` has one probability for each keyword of the prediction.
    `severity_low` and `severity_high` bound the 90 % interval where the model states one. `opacity`
    is the film's call (yes, no, unsure), `warning` says that it is unlike the training films.
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


@dataclass(frozen=True)
class SkippedFilm:
    """A film that was not predicted, and why."""

    id: str
    error: str


def film_cards(prediction: Prediction, manifest: Manifest | None, *, limit: int) -> list[Card]:
    """The first `limit` films of the prediction, those most likely to have pneumonia in front."""
    images = prediction.images[prediction.images["status"] == "ok"].head(limit)
    boxes = _boxes_by_film(prediction.boxes[prediction.boxes["image_id"].isin(images["image_id"])])
    truth = _true_boxes(manifest)
    bounds = severity_range(prediction)
    attributes = prediction.attributes.set_index("image_id").reindex(images["image_id"])
    probabilities = attributes.to_numpy(np.float64)
    cards = [
        _card(row, boxes, truth, bounds, probabilities[place])
        for place, (_, row) in enumerate(images.iterrows())
    ]
    return sorted(cards, key=lambda card: -(card.p_pneumonia or 0.0))


def skipped_films(prediction: Prediction) -> list[SkippedFilm]:
    """The films without a result."""
    rows = prediction.images[prediction.images["status"] != "ok"]
    return [
        SkippedFilm(str(image_id), str(error))
        for image_id, error in zip(rows["image_id"], rows["error"], strict=True)
    ]


def _card(
    row: pd.Series,
    boxes: Mapping[str, tuple[CardBox, ...]],
    truth: Mapping[str, tuple[Corners, ...]],
    bounds: SeverityRange | None,
    probabilities: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> Card:
    image_id = str(row["image_id"])
    severity = _number(row["severity"])
    low, high = None, None
    if bounds is not None and severity is not None:
        low, high = (round(value, DECIMALS) for value in bounds.interval(severity))
    return Card(
        id=image_id,
        width=int(row["width"]),
        height=int(row["height"]),
        p_pneumonia=_number(row["p_pneumonia"]),
        severity=severity,
        severity_low=low,
        severity_high=high,
        boxes=boxes.get(image_id, ()),
        true_boxes=truth.get(image_id),
        attributes=tuple(_number(value) for value in probabilities),
        opacity=str(row.get("opacity", "")),
        warning=str(row.get("warning", "")),
    )


def _boxes_by_film(boxes: pd.DataFrame) -> dict[str, tuple[CardBox, ...]]:
    found: dict[str, list[CardBox]] = {}
    corners = boxes[list(CORNERS)].to_numpy(np.float64).round(2).tolist()
    columns = (boxes[name] for name in ("image_id", "score", "label", "attributes"))
    for xyxy, image_id, score, label, words in zip(corners, *columns, strict=True):
        keywords = tuple(word for word in str(words).split(";") if word)
        box = CardBox((xyxy[0], xyxy[1], xyxy[2], xyxy[3]), _number(score), str(label), keywords)
        found.setdefault(str(image_id), []).append(box)
    return {
        image_id: tuple(sorted(listed, key=lambda box: -(box.score or 0.0)))
        for image_id, listed in found.items()
    }


def _true_boxes(manifest: Manifest | None) -> dict[str, tuple[Corners, ...]]:
    if manifest is None:
        return {}
    found = manifest.boxes_by_image()
    none = np.zeros((0, 4))
    return {
        str(image_id): tuple(
            (x1, y1, x2, y2) for x1, y1, x2, y2 in found.get(image_id, none).round(2).tolist()
        )
        for image_id in manifest.images["image_id"]
    }


def _number(value: object) -> float | None:
    """A finite number, rounded for display, or None."""
    number = float(value) if isinstance(value, int | float | np.number) else math.nan
    return round(number, DECIMALS) if math.isfinite(number) else None
