"""`to_supervision`: a film's boxes as `supervision.Detections`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_manifests.support.errors import ConfigError
from localize.prediction.film_prediction import FilmPrediction

if TYPE_CHECKING:
    import supervision


def to_supervision(film: FilmPrediction) -> supervision.Detections:
    """See `pneumoloc.to_supervision`. Labels are numbered in alphabetical order."""
    try:
        import supervision
    except ImportError as error:
        raise ConfigError(
            "to_supervision: expected the package supervision, got none; pip install supervision"
        ) from error
    classes = sorted(set(film.labels))
    return supervision.Detections(
        xyxy=film.boxes.xyxy.astype(np.float32),
        confidence=film.scores.astype(np.float32),
        class_id=np.array([classes.index(label) for label in film.labels], dtype=int),
        data={
            "class_name": np.array(film.labels, dtype=np.str_),
            "attributes": np.array([";".join(words) for words in film.box_attributes], np.str_),
            "alpha": film.alphas.copy(),
            "detector_score": film.detector_scores.copy(),
        },
    )
