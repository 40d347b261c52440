"""Random manifests and predictions of many films, as CSV or, part by part, as parquet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data_manifests.support.atomic import write_json
from data_manifests.support.csv_file import write_csv
from data_manifests.tables.columns import BOX_COLUMNS, BOX_LABEL, IMAGE_COLUMNS
from localize.prediction.tables import BOX_COLUMNS as PREDICTED
from localize.prediction.tables import DESCRIPTION, FORMAT_VERSION, Prediction, write_prediction
from localize.prediction.tables import IMAGE_COLUMNS as PREDICTED_IMAGES

TableOfFilms = Callable[[np.ndarray], pd.DataFrame]
PART = 500_000  # films of a random table that are made together


def write_random_manifest(folder: Path, films: int) -> None:
    """`images.csv` and `boxes.csv`; two films a patient, a box each."""
    folder.mkdir(parents=True, exist_ok=True)
    number = np.arange(films)
    write_csv(folder / "images.csv", _images(number))
    write_csv(folder / "boxes.csv", _boxes(number))


def write_random_prediction(folder: Path, films: int, boxes_a_film: int = 1) -> None:
    """A prediction with as many boxes on each film; with one, those of the random manifest."""
    number = np.arange(films)
    write_prediction(
        Prediction(
            _predicted_images(number),
            _predicted_boxes(number, boxes_a_film),
            _attributes(number),
            {},
        ),
        folder,
    )


def write_large_manifest(folder: Path, films: int) -> None:
    """`write_random_manifest` as parquet; memory does not grow with the films."""
    _write_parts(folder / "images.parquet", films, _images)
    _write_parts(folder / "boxes.parquet", films, _boxes)


def write_large_prediction(folder: Path, films: int) -> None:
    """`write_random_prediction` as parquet, with scores that differ; memory does not grow."""
    _write_parts(folder / "images.parquet", films, _scored("p_pneumonia", _predicted_images))
    _write_parts(folder / "boxes.parquet", films, _scored("score", _predicted_boxes))
    _write_parts(folder / "attributes.parquet", films, _attributes)
    write_json(folder / DESCRIPTION, {"format_version": FORMAT_VERSION})


def _scored(column: str, table: TableOfFilms) -> TableOfFilms:
    """The same table with random numbers from 0 to 1 in `column`."""
    return lambda number: table(number).assign(
        **{column: np.random.default_rng([1, int(number[0])]).random(len(number))}
    )


def _write_parts(path: Path, films: int, table: TableOfFilms) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.Schema.from_pandas(table(np.arange(1)), preserve_index=False)
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, films, PART):
            part = table(np.arange(first, min(first + PART, films)))
            writer.write_table(pa.Table.from_pandas(part, schema, preserve_index=False))


def _images(number: np.ndarray) -> pd.DataFrame:
    images = pd.DataFrame({"image_id": _names("film", number)})
    images["patient_id"] = _names("patient", number // 2)
    images["study_id"] = _names("study", number)
    images["path"] = images["image_id"] + ".png"
    images["view"], images["width"], images["height"] = "PA", 1024, 1024
    images["split"] = np.where(number // 2 % 5 == 0, "val", "train")
    images["source"], images["sha256"] = "benchmark", ""
    return images[list(IMAGE_COLUMNS)]


def _boxes(number: np.ndarray) -> pd.DataFrame:
    boxes = pd.DataFrame({"image_id": _names("film", number), **_corners(number, 1)})
    boxes["label"], boxes["annotator"] = BOX_LABEL, ""
    return boxes[list(BOX_COLUMNS)]


def _predicted_images(number: np.ndarray) -> pd.DataFrame:
    ids = _names("film", number)
    images = pd.DataFrame({"image_id": ids, "path": ids + ".png", "width": 1024, "height": 1024})
    images["p_pneumonia"], images["severity"] = 0.5, 1.0
    images["status"], images["error"] = "ok", ""
    return images.reindex(columns=list(PREDICTED_IMAGES), fill_value="")


def _predicted_boxes(number: np.ndarray, boxes_a_film: int = 1) -> pd.DataFrame:
    boxed = _names("film", number).repeat(boxes_a_film).reset_index(drop=True)
    boxes = pd.DataFrame({"image_id": boxed, **_corners(number, boxes_a_film)})
    boxes["score"], boxes["alpha"], boxes["detector_score"] = 0.5, 0.25, 0.125
    boxes["label"], boxes["attributes"] = BOX_LABEL, "left;lower"
    return boxes[list(PREDICTED)]


def _attributes(number: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"image_id": _names("film", number), "left": 0.75, "lower": 0.5})


def _names(what: str, number: np.ndarray) -> pd.Series:
    return pd.Series([f"{what}-{k:07d}" for k in number], dtype="str")


def _corners(number: np.ndarray, boxes_a_film: int) -> dict[str, np.ndarray]:
    """Corners of the boxes of consecutive films; those of a part depend on its first film."""
    random = np.random.default_rng(int(number[0]))
    count = len(number) * boxes_a_film
    corner = random.uniform(0, 500, (2, count)).round(1)
    side = random.uniform(20, 500, (2, count)).round(1)
    x2, y2 = (corner + side).round(1)
    return {"x1": corner[0], "y1": corner[1], "x2": x2, "y2": y2}
