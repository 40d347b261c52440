"""`build_rsna`: the RSNA Pneumonia Detection Challenge 2018, stage 2, as Kaggle publishes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from data_manifests.builders.build import (
    Build,
    BuildOptions,
    SourceTables,
    film_paths_by_stem,
    finish_build,
)
from data_manifests.builders.sources import index_films, read_source_table
from data_manifests.support.errors import DataError, Problem
from data_manifests.tables.nih_rsna_overlap import read_rsna_mapping

LABELS = "stage_2_train_labels.csv"
CLASSES = "stage_2_detailed_class_info.csv"
FILMS = "stage_2_train_images"
FRAME = 1024  # pixels of the published films, and of the boxes


def build_rsna(
    folder: Path,
    *,
    mapping: Path | None = None,
    films: Path | None = None,
    options: BuildOptions | None = None,
) -> Build:
    """Films, boxes ("Lung Opacity") and labels of `stage_2_train_labels.csv`.

    Kaggle's `patientId` names a film, not a patient. With RSNA's `mapping` to NIH's films
    (`pneumonia-challenge-dataset-mappings_2018.json`) `patient_id` is NIH's patient; without it
    every film is its own patient and a split can put one person on both sides.

    Args:
        folder: has the two CSV files and `stage_2_train_images/`.
        films: another folder of films, also converted to PNG or JPEG, named `<patientId>.*`.

    Raises:
        DataError: see `finish_build`; a film whose Target contradicts its boxes.
    """
    folder = Path(folder)
    table = read_source_table(folder / LABELS, ("patientId", "x", "y", "width", "height", "Target"))
    table["row"] = table.index + 2
    sources = [folder / LABELS]
    _refuse_contradictions(table)
    first = table.drop_duplicates("patientId").reset_index(drop=True)
    labels = pd.DataFrame(
        {"image_id": first["patientId"], "pneumonia": first["Target"], "rsna_class": ""}
    )
    if (folder / CLASSES).is_file():
        classes = read_source_table(folder / CLASSES, ("patientId", "class"))
        by_film = classes.drop_duplicates("patientId").set_index("patientId")["class"]
        labels["rsna_class"] = by_film.reindex(first["patientId"]).fillna("").to_numpy()
        sources.append(folder / CLASSES)
    patients = first["patientId"]
    if mapping is not None:
        nih = first["patientId"].map(read_rsna_mapping(mapping)).fillna("")
        labels["nih_image"] = nih
        patients = patients.where(nih == "", nih.str[:8])
        sources.append(Path(mapping))
    root = Path(films) if films is not None else folder / FILMS
    images = pd.DataFrame(
        {
            "image_id": first["patientId"],
            "patient_id": patients,
            "study_id": first["patientId"],
            "path": film_paths_by_stem(first["patientId"], index_films(root)),
            "source": "rsna",
            "row": first["row"],
        }
    )
    return finish_build(
        "rsna",
        SourceTables(images, LABELS, root, _boxes(table), LABELS, labels=labels),
        sources,
        options or BuildOptions(),
        {"patients": "nih" if mapping is not None else "unknown"},
    )


def _boxes(table: pd.DataFrame) -> pd.DataFrame:
    boxed = table[table["x"] != ""]
    x, y, width, height = (
        pd.to_numeric(boxed[name], errors="coerce").to_numpy(np.float64)
        for name in ("x", "y", "width", "height")
    )
    return pd.DataFrame(
        {
            "image_id": boxed["patientId"].to_numpy(),
            "x1": x,
            "y1": y,
            "x2": x + width,
            "y2": y + height,
            "label": "Lung Opacity",
            "annotator": "rsna",
            "frame_width": FRAME,
            "frame_height": FRAME,
            "row": boxed["row"].to_numpy(),
        }
    )


def _refuse_contradictions(table: pd.DataFrame) -> None:
    has_box = table["x"] != ""
    bad = ~table["Target"].isin(("0", "1")) | ((table["Target"] == "1") != has_box)
    if bad.any():
        raise DataError.from_problems(
            [
                Problem(
                    file=LABELS,
                    row=int(row),
                    field="Target",
                    expected="1 with a box, 0 without",
                    got=f"{target!r} {'with' if boxed else 'without'} a box",
                )
                for row, target, boxed in zip(
                    table["row"][bad], table["Target"][bad], has_box[bad], strict=True
                )
            ]
        )
