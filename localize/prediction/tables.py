"""`Prediction`: the tables that `pneumoloc predict` writes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data_manifests.laterality import LungBorders
from data_manifests.support.atomic import write_json
from data_manifests.support.csv_file import read_text_csv, write_csv
from data_manifests.support.errors import DataError, Problem
from data_manifests.support.temporary import temporary_folder

FORMAT_VERSION = 1
TABLES = ("images.csv", "boxes.csv", "attributes.csv")
DESCRIPTION = "prediction.json"
OPERATING_POINT_KEY = "operating_point"  # of prediction.json
UNPROVEN_KEY = "unproven_attributes"  # of prediction.json: columns that pages leave out
IMAGE_COLUMNS = (
    "image_id",
    "path",
    "width",
    "height",
    "p_pneumonia",
    "severity",
    "opacity",
    "warning",
    "status",
    "error",
)
BOX_COLUMNS = (
    "image_id",
    "x1",
    "y1",
    "x2",
    "y2",
    "score",
    "alpha",
    "detector_score",
    "label",
    "attributes",
)
# Blank in predictions of other methods, and of bundles without calibration or film guard.
OPTIONAL_COLUMNS = ("opacity", "warning")
IMAGE_NUMBERS = ("width", "height", "p_pneumonia", "severity")
BOX_NUMBERS = BOX_COLUMNS[1:8]
STATUSES = ("ok", "skipped")
ZONES_TABLE = "zones.csv"  # written only where it is asked for; see `write_zones`
BORDER_COLUMNS = tuple(field.name for field in fields(LungBorders))


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

    def keywords(self) -> tuple[str, ...]:
        """The attribute names, in the order of the lexicon."""
        return tuple(str(name) for name in self.attributes.columns[1:])

    def shown_keywords(self) -> tuple[str, ...]:
        """Those that the model was shown to predict on real films; pages show no others."""
        unproven = self.info.get(UNPROVEN_KEY, ())
        return tuple(name for name in self.keywords() if name not in unproven)


def write_prediction(prediction: Prediction, folder: Path) -> None:
    """Write the three tables and, last, `prediction.json`: a folder without it is unfinished.

    Everything is written to a temporary folder first: a full disk leaves an earlier prediction
    unchanged.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(folder.name, folder.parent) as name:
        staged = Path(name) / folder.name
        for table, content in written_tables(prediction).items():
            write_csv(staged / table, content)
        publish_prediction(staged, folder, prediction.info)


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
    for name in (*TABLES, DESCRIPTION):
        os.replace(staged / name, folder / name)


def read_prediction(folder: Path) -> Prediction:
    """Read and check a prediction folder.

    Raises:
        DataError: a file or column is missing, text stands for a number, an id comes twice, or a
            box has an unknown film.
    """
    folder = Path(folder)
    try:
        info = json.loads((folder / "prediction.json").read_text("utf-8"))
    except FileNotFoundError as error:
        got = "no prediction.json" if folder.is_dir() else "no such folder"
        raise _error(folder, "a finished prediction", got) from error
    except (OSError, ValueError, RecursionError) as error:
        raise _error(folder / "prediction.json", "JSON", str(error)) from error
    version = info.pop("format_version", None) if isinstance(info, dict) else None
    if version != FORMAT_VERSION:
        raise _error(folder / "prediction.json", f"format_version {FORMAT_VERSION}", str(version))
    needed = tuple(name for name in IMAGE_COLUMNS if name not in OPTIONAL_COLUMNS)
    images = _table(folder / "images.csv", needed, IMAGE_NUMBERS)
    images = images.assign(**{name: "" for name in OPTIONAL_COLUMNS if name not in images})
    boxes = _table(folder / "boxes.csv", BOX_COLUMNS, BOX_NUMBERS)
    attributes = _table(folder / "attributes.csv", ("image_id",), None)
    problems = [
        Problem(
            file=name,
            row=int(row) + 2,
            field="image_id",
            expected="an id that no earlier row has",
            got=repr(table["image_id"].iloc[row]),
        )
        for name, table in (("images.csv", images), ("attributes.csv", attributes))
        for row in np.flatnonzero(table["image_id"].duplicated())
    ]
    problems += [
        Problem(
            file="boxes.csv",
            row=int(row) + 2,
            field="image_id",
            expected="a film of images.csv",
            got=repr(boxes["image_id"].iloc[row]),
        )
        for row in np.flatnonzero(~boxes["image_id"].isin(set(images["image_id"])))
    ]
    corners = boxes[["x1", "y1", "x2", "y2"]].to_numpy(np.float64)
    flipped = ~((corners[:, 0] < corners[:, 2]) & (corners[:, 1] < corners[:, 3]))
    problems += [
        Problem(
            file="boxes.csv",
            row=int(row) + 2,
            field="x1,y1,x2,y2",
            expected="x1 < x2, y1 < y2",
            got=str(corners[row].tolist()),
        )
        for row in np.flatnonzero(flipped)
    ]
    if problems:
        raise DataError.from_problems(problems)
    return Prediction(images, boxes, attributes, info, _borders(folder / ZONES_TABLE))


def _borders(path: Path) -> dict[str, LungBorders]:
    """The borders of the films with lungs in `zones.csv`; none where there is no such file."""
    if not path.exists():
        return {}
    table = _table(path, ("image_id", *BORDER_COLUMNS), BORDER_COLUMNS)
    known = table[np.isfinite(table[list(BORDER_COLUMNS)]).all(axis=1)]
    found = {}
    for row, image_id, *numbers in known[["image_id", *BORDER_COLUMNS]].itertuples(name=None):
        try:
            found[str(image_id)] = LungBorders(*numbers)
        except ValueError as error:
            problem = Problem(
                file=path.name,
                row=int(row) + 2,
                field=",".join(BORDER_COLUMNS),
                expected="shares of the film in order",
                got=str(error),
                fix="delete the file, or write it anew with predict --zones",
            )
            raise DataError.from_problems([problem]) from error
    return found


def _table(path: Path, columns: tuple[str, ...], numbers: tuple[str, ...] | None) -> pd.DataFrame:
    """A CSV with its numeric columns parsed (all but the first where `numbers` is None)."""
    if not path.is_file():
        raise _error(path, "a table", "no such file")
    try:
        table = read_text_csv(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise _error(path, "a CSV table with a header", str(error).strip()) from error
    missing = [name for name in columns if name not in table]
    if missing:
        raise _error(path, f"the columns {', '.join(columns)}", f"no {', '.join(missing)}")
    problems = []
    for name in table.columns[1:] if numbers is None else numbers:
        text = table[name]
        parsed = pd.to_numeric(text.where(text != "", None), errors="coerce").astype("float64")
        problems += [
            Problem(
                file=path.name,
                row=int(row) + 2,
                field=str(name),
                expected="a finite number",
                got=repr(text.iloc[row]),
            )
            for row in np.flatnonzero(~np.isfinite(parsed) & (text != ""))
        ]
        table[name] = parsed
    if problems:
        raise DataError.from_problems(problems)
    return table


def _error(path: Path, expected: str, got: str) -> DataError:
    return DataError.from_problems([Problem(file=str(path), expected=expected, got=got)])
