"""`guess_prediction`: boxes of any origin as the `Prediction` that every method gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_manifests.tables.columns import BOX_LABEL
from detector.run.provenance import provenance
from localize.prediction.tables import BOX_COLUMNS, IMAGE_COLUMNS, Prediction

MIN_SIDE_PX = 0.5  # as in `predict_films`: thinner cannot be drawn
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FilmGuess:
    """One film's boxes (K, 4) in film pixels and scores (K,); `probability` None: no opinion."""

    image_id: str
    width: int
    height: int
    xyxy: Floats
    scores: Floats
    probability: float | None


def guess_prediction(
    films: Sequence[FilmGuess], method: str, options: Mapping[str, Any]
) -> Prediction:
    """The tables of a prediction without attributes and severity; boxes best first, stable.

    `options` (numbers and text) go into `prediction.json`.
    """
    images, boxes = [], []
    for film in films:
        image: dict[str, object] = dict.fromkeys(IMAGE_COLUMNS, "")
        image |= {"image_id": film.image_id, "width": film.width, "height": film.height}
        image |= {"p_pneumonia": film.probability, "severity": None, "status": "ok"}
        images.append(image)
        for k in np.argsort(-film.scores, kind="stable"):
            x1, y1, x2, y2 = film.xyxy[k].round(3).tolist()
            if x2 - x1 >= MIN_SIDE_PX and y2 - y1 >= MIN_SIDE_PX:
                score = float(film.scores[k])
                boxes.append((film.image_id, x1, y1, x2, y2, score, None, None, BOX_LABEL, ""))
    numbers = dict.fromkeys(("width", "height", "p_pneumonia", "severity"), "float64")
    return Prediction(
        images=pd.DataFrame(images, columns=list(IMAGE_COLUMNS)).astype(numbers),
        boxes=pd.DataFrame(boxes, columns=list(BOX_COLUMNS)).astype(
            dict.fromkeys(BOX_COLUMNS[1:8], "float64")
        ),
        attributes=pd.DataFrame({"image_id": [film.image_id for film in films]}),
        info={"method": method, "options": dict(options), "provenance": provenance()},
    )
