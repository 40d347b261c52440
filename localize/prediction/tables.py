"""`Prediction`: the tables that `pneumoloc predict` writes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from data_manifests.laterality import LungBorders
from data_manifests.support.atomic import write_json
from data_manifests.support.csv_file import write_csv
from data_manifests.support.errors import DataError, Problem
from data_manifests.support.temporary import temporary_folder
from data_manifests.tables.table_file import table_file_error
from localize.prediction.columns import BOX_COLUMNS as BOX_COLUMNS
from localize.prediction.columns import IMAGE_COLUMNS as IMAGE_COLUMNS
from localize.prediction.columns import OPTIONAL_COLUMNS
from localize.prediction.columns import TABLES as TABLES
from localize.prediction.film_parts import film_parts
from localize.prediction.lung_borders import ZONES_TABLE, read_borders
from localize.prediction.table_blocks import packed_tables

FORMAT_VERSION = 1
DESCRIPTION = "prediction.json"
OPERATING_POINT_KEY = "operating_point"  # of prediction.json
PREVALENCE_KEY = "prevalence"  # of prediction.json: that of P(pneumonia), and the model's own
UNPROVEN_KEY = "unproven_attributes"  # of prediction.json: columns that pages leave out


@dataclass(frozen=True)
class Prediction:
    """The predictions of many films as tables; see `FilmPrediction` for one film.

    Args:
        images: one row a film, skipped ones included (`status` ok or skipped, `error`).
        boxes: one row a box in film pixels, by film and falling score.
        attributes: one row a film, one probability for each keyword.
        info: the content of `prediction.json`: bundle and checksums, options, versions, time.
        borders: image_id -> sides and zones of the film's own lungs, where `zones.csv` has them.
    """

    images: pd.DataFrame
    boxes: pd.DataFrame
    attributes: pd.DataFrame
    info: Mapping[str, Any]  # Any: whatever JSON can hold
    borders: Mapping[str, LungBorders] = field(default_factory=dict)

    def parts(self) -> Iterator[Prediction]:
        """The whole as one part; a `PredictionFolder` has more."""
        yield self

    def count_boxes(self) -> int:
        """The number of boxes."""
        return len(self.boxes)

    def operating_point(self) -> float | None:
        """The box score from which on boxes are shown by default; None where none is recommended.

        Raises:
            DataError: `prediction.json` has another value than a number from 0 to 1.
        """
        value = self.info.get(OPERATING_POINT_KEY)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            expected = f"{OPERATING_POINT_KEY}, a number from 0 to 1"
            raise DataError.from_problems([Problem(DESCRIPTION, expected, repr(value))])
        return float(value)

    def prevalence(self) -> float | None:
        """The share of films with an opacity for which P(pneumonia) is stated; None: not known.

        Raises:
            DataError: `prediction.json` has another value than a number between 0 and 1.
        """
        return self._share("stated")

    def model_prevalence(self) -> float | None:
        """The share for which the model states P(pneumonia) by itself; None: not known.

        Raises:
            DataError: see `prevalence`.
        """
        return self._share("model")

    def _share(self, name: str) -> float | None:
        stated = self.info.get(PREVALENCE_KEY)
        if stated is None:
            return None
        value = stated.get(name) if isinstance(stated, dict) else stated
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
            expected = f"{PREVALENCE_KEY}.{name}, a number between 0 and 1"
            raise DataError.from_problems([Problem(DESCRIPTION, expected, repr(value))])
        return float(value)

    def keywords(self) -> tuple[str, ...]:
        """The attribute names, in the order of the lexicon."""
        return tuple(str(name) for name in self.attributes.columns[1:])

    def shown_keywords(self) -> tuple[str, ...]:
        """Those that the model was shown to predict on real films; pages show no others."""
        unproven = self.info.get(UNPROVEN_KEY, ())
        return tuple(name for name in self.keywords() if name not in unproven)


def write_prediction(prediction: Prediction, folder: Path) -> None:
    """Write the three tables and, last, `prediction.json`: a folder without it is unfinished.

    Tables of more than 100,000 rows become parquet.

    Everything is written to a temporary folder first: a full disk leaves an earlier prediction
    unchanged.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(folder.name, folder.parent) as name:
        staged = Path(name) / folder.name
        for table, content in written_tables(prediction).items():
            write_csv(staged / table, content)
        publish_prediction(packed_tables(staged), folder, prediction.info)


def written_tables(prediction: Prediction) -> dict[str, pd.DataFrame]:
    """File name -> table with its columns in the order of the file."""
    images = prediction.images.assign(
        **{name: "" for name in OPTIONAL_COLUMNS if name not in prediction.images}
    )[list(IMAGE_COLUMNS)].astype({"width": "Int64", "height": "Int64"})
    boxes = prediction.boxes[list(BOX_COLUMNS)]
    return dict(zip(TABLES, (images, boxes, prediction.attributes), strict=True))


def publish_prediction(staged: Path, folder: Path, info: Mapping[str, Any]) -> None:
    """Finish the tables in `staged` with their `prediction.json` and put them in place."""
    write_json(staged / DESCRIPTION, {**info, "format_version": FORMAT_VERSION})
    if not folder.exists():
        os.replace(staged, folder)
        return
    # Without its last file, a mixture of old and new tables counts as unfinished.
    (folder / DESCRIPTION).unlink(missing_ok=True)
    (folder / ZONES_TABLE).unlink(missing_ok=True)
    for name in TABLES:
        packed = Path(name).with_suffix(".parquet").name
        new, old = (packed, name) if (staged / packed).exists() else (name, packed)
        os.replace(staged / new, folder / new)
        (folder / old).unlink(missing_ok=True)
    os.replace(staged / DESCRIPTION, folder / DESCRIPTION)


def read_prediction(folder: Path) -> Prediction:
    """Read and check a prediction folder whole; `open_prediction` takes a few films at a time.

    Raises:
        DataError: a file or column is missing, text stands for a number, an id comes twice, or a
            box or row of attributes has an unknown film.
    """
    folder = Path(folder)
    info = read_info(folder)
    (part,) = film_parts(folder, is_whole=True)
    borders = read_borders(folder)
    return Prediction(part.images, part.boxes, part.attributes, info, borders)


def read_info(folder: Path) -> dict[str, Any]:
    """The content of `prediction.json`.

    Raises:
        DataError: the prediction is not finished, or of another version.
    """
    try:
        info = json.loads((folder / DESCRIPTION).read_text("utf-8"))
    except FileNotFoundError as error:
        got = f"no {DESCRIPTION}" if folder.is_dir() else "no such folder"
        raise table_file_error(folder, "a finished prediction", got) from error
    except (OSError, ValueError, RecursionError) as error:
        raise table_file_error(folder / DESCRIPTION, "JSON", str(error)) from error
    version = info.pop("format_version", None) if isinstance(info, dict) else None
    if version != FORMAT_VERSION:
        raise table_file_error(
            folder / DESCRIPTION, f"format_version {FORMAT_VERSION}", str(version)
        )
    return dict(info)
