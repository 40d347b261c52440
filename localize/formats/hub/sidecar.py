"""The CSV beside every export: all that is known of each box, whatever the format can hold."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from data_manifests.support.csv_file import TextFile, csv_writer
from localize.formats.hub.annotations import FilmAnnotation

COLUMNS = (
    "film",
    "image_id",
    "width",
    "height",
    "box",
    "x1",
    "y1",
    "x2",
    "y2",
    "label",
    "score",
    "alpha",
    "detector_score",
    "attributes",
    "annotator",
    "p_pneumonia",
    "severity",
    "model",
    "sentence",
)


def sidecar_path(target: Path) -> Path:
    """The sidecar of `boxes.json` is `boxes.sidecar.csv`, of the folder `voc` `voc.sidecar.csv`."""
    return target.with_name(f"{target.name if target.suffix == '' else target.stem}.sidecar.csv")


class SidecarWriter:
    """Writes one row for each box, and one without box numbers for each film without boxes.

    Args:
        file: open for text.
        model: of the last column.
    """

    def __init__(self, file: TextFile, model: str) -> None:
        self._rows = csv_writer(file)
        self._rows.writerow(COLUMNS)
        self._model = model

    def write(self, film: FilmAnnotation) -> None:
        """Add a film."""
        head = [film.name, film.image_id, film.width, film.height]
        tail = [_cell(film.p_pneumonia), _cell(film.severity), self._model]
        if not len(film):
            self._rows.writerow([*head, *[""] * 10, film.annotator, *tail, ""])
        alphas = np.full(len(film), np.nan) if film.prediction is None else film.prediction.alphas
        detector = alphas if film.prediction is None else film.prediction.detector_scores
        for place, corners in enumerate(film.xyxy.tolist()):
            numbers = [_cell(float(column[place])) for column in (film.scores, alphas, detector)]
            words = ";".join(film.keywords[place])
            row = [place + 1, *corners, film.labels[place], *numbers, words]
            self._rows.writerow([*head, *row, film.annotators[place], *tail, film.sentences[place]])


def _cell(value: float | None) -> float | str:
    return value if value is not None and math.isfinite(value) else ""
