"""`write_zones`: how much of each lung zone the boxes of a prediction cover."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pandas as pd

from data_manifests.films.read_film import read_film
from data_manifests.support.arrays import Floats
from data_manifests.support.csv_file import write_csv
from data_manifests.support.errors import DataError
from data_manifests.support.progress_bar import progress_bar
from detector.lungs.lung_shares import ZONES, lung_cover, zone_cover
from detector.lungs.segment import LungSegmenter
from localize.inference.film_list import FilmToPredict
from localize.pipeline.lungs_folder import lungs_found
from localize.prediction.film_prediction import FilmPrediction
from localize.prediction.film_tables import films_of_prediction
from localize.prediction.lung_borders import BORDER_COLUMNS
from localize.prediction.tables import Prediction

COLUMNS = ("image_id", "lungs", *ZONES, "right", "left", *BORDER_COLUMNS)
DIGITS = 4


def write_zones(
    prediction: Prediction, films: Sequence[FilmToPredict], segmenter: LungSegmenter, target: Path
) -> None:
    """Write `zones.csv`: a row for each predicted film.

    `A` to `F` are Brixia's zones, `right` and `left` the whole lungs: the share of them under
    boxes, each pixel times the highest score of its boxes. `lungs` is both, right, left or none;
    where it is none the halves of the film stand for the lungs. A missing lung's shares are blank.
    The last columns are the film's `LungBorders`, blank where it has no lungs; whoever reads the
    prediction takes sides and zones from them.

    Raises:
        DataError: a predicted film is not among `films`, or can no longer be read.
    """
    rows = list(zone_rows_of_films(prediction, films, segmenter))
    write_csv(target, pd.DataFrame(rows, columns=list(COLUMNS)))


def zone_rows_of_films(
    prediction: Prediction, films: Sequence[FilmToPredict], segmenter: LungSegmenter
) -> Iterator[list[object]]:
    """The rows of `write_zones`, in the order of the prediction."""
    files = {film.image_id: film.file for film in films}
    predicted = [
        film for film in films_of_prediction(prediction) if isinstance(film, FilmPrediction)
    ]
    for film in progress_bar(predicted, desc="zones", unit="film"):
        if film.image_id not in files:
            raise DataError(
                f"zones: expected the file of film {film.image_id!r} among the films, got none; "
                "give the films of the prediction"
            )
        fields = segmenter.fields(read_film(files[film.image_id]).pixels)
        xyxy, scores = film.boxes.xyxy, film.scores
        covers = (zone_cover(fields, xyxy, scores), lung_cover(fields, xyxy, scores))
        borders = astuple(fields.borders) if fields.is_found else (np.nan,) * len(BORDER_COLUMNS)
        yield [
            film.image_id,
            lungs_found(fields),
            *_cells(np.array([*covers[0], *covers[1], *borders])),
        ]


def _cells(shares: Floats) -> list[float | None]:
    return [None if np.isnan(share) else float(np.round(share, DIGITS)) for share in shares]
