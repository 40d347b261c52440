"""`film_as_dict`: a film's prediction as JSON can hold it, and back without loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from data_manifests.boxes import Boxes
from localize.prediction.film_prediction import FilmPrediction, SkippedFilm

Row = dict[str, Any]  # Any: whatever JSON holds
BOX_NUMBERS = {"score": "scores", "alpha": "alphas", "detector_score": "detector_scores"}


def film_as_dict(film: FilmPrediction | SkippedFilm) -> Row:
    """Plain numbers, texts, lists and dicts; None where a number is not known.

    A skipped film has `image_id`, `path` and `error`. `file` and `picture` are left out.
    """
    if isinstance(film, SkippedFilm):
        return {"image_id": film.image_id, "path": film.path, "error": film.error}
    return {
        "image_id": film.image_id,
        "path": film.path,
        "width": film.boxes.width,
        "height": film.boxes.height,
        "boxes": [
            {
                "xyxy": film.boxes.xyxy[k].tolist(),
                **{
                    name: _known(float(getattr(film, column)[k]))
                    for name, column in BOX_NUMBERS.items()
                },
                "label": film.labels[k],
                "attributes": list(film.box_attributes[k]),
            }
            for k in range(len(film))
        ],
        "attributes": dict(film.attributes),
        "p_pneumonia": film.p_pneumonia,
        "opacity": film.opacity,
        "severity": film.severity,
        "severity_interval": None
        if film.severity_interval is None
        else list(film.severity_interval),
        "warning": film.warning,
    }


def film_from_dict(content: Row) -> FilmPrediction | SkippedFilm:
    """The film of a `film_as_dict`.

    Raises:
        KeyError: a field is missing.
        ValueError: see `FilmPrediction`.
    """
    if "error" in content:
        return SkippedFilm(content["image_id"], content["path"], content["error"])
    boxes = content["boxes"]
    scores, alphas, detector_scores = (
        np.array([math.nan if box[name] is None else box[name] for box in boxes], float)
        for name in BOX_NUMBERS
    )
    xyxy = np.array([box["xyxy"] for box in boxes], float).reshape(-1, 4)
    interval = content["severity_interval"]
    return FilmPrediction(
        image_id=content["image_id"],
        path=content["path"],
        boxes=Boxes(xyxy, content["width"], content["height"]),
        scores=scores,
        alphas=alphas,
        detector_scores=detector_scores,
        labels=tuple(box["label"] for box in boxes),
        box_attributes=tuple(tuple(box["attributes"]) for box in boxes),
        attributes=content["attributes"],
        p_pneumonia=content["p_pneumonia"],
        opacity=content["opacity"],
        severity=content["severity"],
        severity_interval=None if interval is None else (interval[0], interval[1]),
        warning=content["warning"],
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
