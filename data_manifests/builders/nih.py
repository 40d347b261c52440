"""`build_nih`: NIH ChestX-ray14, as published: Data_Entry_2017, BBox_List_2017, images."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from data_manifests.builders.build import (
    Build,
    BuildOptions,
    SourceTables,
    film_paths_by_stem,
    finish_build,
)
from data_manifests.builders.sources import (
    first_existing,
    index_films,
    read_source_table,
    require_columns,
    source_error,
)
from data_manifests.support.errors import DataError, Problem
from data_manifests.support.membership import is_member

ENTRIES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv.gz")
BOXES = ("BBox_List_2017.csv", "BBox_List_2017.csv.gz")
OFFICIAL_SPLIT = {"train_val_list.txt": "train", "test_list.txt": "test"}
ENTRY_COLUMNS = (
    "Image Index",
    "Finding Labels",
    "Patient ID",
    "Patient Age",
    "Patient Gender",
    "View Position",
)
# The header as published is `Image Index,Finding Label,Bbox [x,y,w,h],,,`: one name over 4 columns.
BOX_HEADER = ("Image Index", "Finding Label", "Bbox [x", "y", "w", "h]")
FRAME = 1024


def build_nih(
    folder: Path,
    *,
    films: Path | None = None,
    box_labels: Sequence[str] = ("Pneumonia",),
    only_boxed: bool = False,
    official_split: bool = False,
    options: BuildOptions | None = None,
) -> Build:
    """Films, boxes and text-mined labels of ChestX-ray14.

    `labels.csv` has `pneumonia` (1 where the findings name it, 0 for "No Finding", blank
    otherwise: the mined labels miss much), `nih_labels`, `sex`, `age`.

    Args:
        folder: has `Data_Entry_2017*.csv`, `BBox_List_2017.csv` and `images_001/images/*.png` ...
            or any other folders of films.
        box_labels: which boxes to take.
        only_boxed: leave out films without one of these boxes.
        official_split: take `train_val_list.txt` and `test_list.txt` as train and test.

    Raises:
        DataError: see `finish_build`; an image index that contradicts its patient.
    """
    folder = Path(folder)
    entries_path = first_existing(folder, ENTRIES)
    entries = read_source_table(entries_path, ENTRY_COLUMNS)
    entries["row"] = entries.index + 2
    entries["image_id"] = entries["Image Index"].str.removesuffix(".png")
    _refuse_other_patients(entries, entries_path.name)
    sources = [entries_path]
    boxes = None
    boxes_file = BOXES[0]
    if any((folder / name).is_file() for name in BOXES) or only_boxed:
        boxes_path = first_existing(folder, BOXES)
        boxes = _read_boxes(boxes_path, box_labels)
        boxes_file = boxes_path.name
        sources.append(boxes_path)
        if only_boxed:
            entries = entries[is_member(entries["image_id"], boxes["image_id"])]
    entries = entries.reset_index(drop=True)
    root = Path(films) if films is not None else folder
    images = pd.DataFrame(
        {
            "image_id": entries["image_id"],
            "patient_id": entries["image_id"].str[:8],
            "study_id": entries["image_id"],
            "path": film_paths_by_stem(entries["image_id"], index_films(root)),
            "view": entries["View Position"],
            "split": _official_split(folder, entries["image_id"]) if official_split else "",
            "source": "nih",
            "row": entries["row"],
        }
    )
    findings = entries["Finding Labels"]
    pneumonia = pd.Series("", index=entries.index, dtype="str")
    pneumonia[findings == "No Finding"] = "0"
    pneumonia[findings.str.split("|").map(lambda names: "Pneumonia" in names)] = "1"
    labels = pd.DataFrame(
        {
            "image_id": entries["image_id"],
            "pneumonia": pneumonia,
            "nih_labels": findings,
            "sex": entries["Patient Gender"],
            # The 2017 edition writes 058Y, the 2020 edition 58.
            "age": entries["Patient Age"].str.removesuffix("Y").str.lstrip("0"),
        }
    )
    return finish_build(
        "nih",
        SourceTables(images, entries_path.name, root, boxes, boxes_file, labels=labels),
        sources,
        options or BuildOptions(),
        {
            "box_labels": ";".join(box_labels),
            "only_boxed": only_boxed,
            "official_split": official_split,
        },
    )


def _read_boxes(path: Path, box_labels: Sequence[str]) -> pd.DataFrame:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as handle:
        lines = list(csv.reader(handle))
    require_columns(path, [name.strip() for name in lines[0]] if lines else [], BOX_HEADER)
    rows = []
    problems = []
    for number, fields in enumerate(lines[1:], start=2):
        if len(fields) < len(BOX_HEADER):
            got = f"{len(fields)} fields"
            problems.append(Problem(path.name, f"{len(BOX_HEADER)} fields", got, number))
            continue
        name, label, *numbers = (field.strip() for field in fields[: len(BOX_HEADER)])
        if label not in box_labels:
            continue
        try:
            x, y, width, height = (float(number) for number in numbers)
        except ValueError:
            got = ",".join(numbers)[:80]
            problems.append(Problem(path.name, "four numbers", got, number, "Bbox [x,y,w,h]"))
            continue
        image_id = name.removesuffix(".png")
        corners = (x, y, x + width, y + height)
        rows.append((image_id, *corners, label, "nih", FRAME, FRAME, number))
    if problems:
        raise DataError.from_problems(problems)
    columns = ["image_id", "x1", "y1", "x2", "y2", "label", "annotator"]
    return pd.DataFrame(rows, columns=[*columns, "frame_width", "frame_height", "row"])


def _refuse_other_patients(entries: pd.DataFrame, file: str) -> None:
    """The image index starts with the patient: 00013118_008 is patient 13118."""
    named = entries["image_id"].str.extract(r"^(\d{8})_\d{3}$", expand=False).fillna("")
    bad = named.str.lstrip("0") != entries["Patient ID"].str.lstrip("0")
    if bad.any():
        raise DataError.from_problems(
            [
                Problem(
                    file=file,
                    row=int(row),
                    field="Image Index",
                    expected="PPPPPPPP_NNN.png of the row's Patient ID",
                    got=repr(name[:80]),
                )
                for row, name in zip(entries["row"][bad], entries["Image Index"][bad], strict=True)
            ]
        )


def _official_split(folder: Path, image_ids: pd.Series) -> pd.Series:
    splits: dict[str, str] = {}
    for name, split in OFFICIAL_SPLIT.items():
        try:
            text = (folder / name).read_text("utf-8")
        except FileNotFoundError as error:
            raise source_error(folder / name, "the official list", "no such file") from error
        splits.update((line.strip().removesuffix(".png"), split) for line in text.splitlines())
    return image_ids.map(splits).fillna("")
