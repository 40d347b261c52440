"""`build_mimic_cxr`: MIMIC-CXR-JPG tables and films, MIMIC-CXR reports, a user's own boxes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from data_manifests.builders.build import (
    Build,
    BuildOptions,
    SourceTables,
    finish_build,
    is_frontal,
)
from data_manifests.builders.sources import first_existing, read_source_table, source_error
from data_manifests.support.errors import DataError, Problem
from data_manifests.support.membership import is_member
from data_manifests.support.report_headings import Headings
from data_manifests.support.report_sections import SectionSplitter

# The headings of MIMIC-CXR's reports; their combinations and slips of the pen are recognised.
HEADINGS = Headings(
    read=frozenset({"findings", "final report", "wet read", "preliminary report", "report"}),
    impression=frozenset({"impression", "impressions", "conclusion", "conclusions", "addendum"}),
    skip=frozenset(
        {
            "indication", "indications", "history", "clinical history", "clinical information",
            "clinical indication", "reason for exam", "reason for examination",
            "reason for this examination", "reason for the examination", "reason",
            "underlying medical condition", "admitting diagnosis", "notification", "notifications",
            "recommendation", "recommendations",
        }
    ),
    brief=frozenset(
        {
            "comparison", "comparisons", "technique", "examination", "exam", "study", "views",
            "procedure", "date", "compared to", "reference exam",
        }
    ),
    labels=frozenset({"lungs", "heart", "pleura", "mediastinum", "bones", "cardiomediastinum"}),
    views=frozenset(
        "chest pa ap lat lateral portable view views two one single frontal upright supine semi "
        "erect radiograph radiographs x ray xray film films cxr and of the at on am pm study "
        "compared to with".split()
    ),
    joiners=frozenset({"and", "/", "&", ","}),
    connectives=frozenset("is was are were of with to in made for".split()),
)  # fmt: skip
VERSIONS = ("2.1.0", "2.0.0")
SPLITS = {"train": "train", "validate": "val", "test": "test"}
CHEXPERT = ("Pneumonia", "Lung Opacity", "Consolidation", "Edema", "Atelectasis", "No Finding")


def build_mimic_cxr(
    folder: Path,
    *,
    reports: Path | None = None,
    boxes: Path | None = None,
    only_boxed: bool = False,
    options: BuildOptions | None = None,
) -> Build:
    """Frontal films (PA, AP), official splits, CheXpert labels, reports by section, boxes.

    `labels.csv`: `pneumonia` is CheXpert's 1 or 0; uncertain (-1) and unmentioned are blank, the
    other labels keep -1. Reports are cut at their headings; text that describes the film without a
    heading, as in a third of the reports, is the section `report`.

    Args:
        folder: of MIMIC-CXR-JPG: `mimic-cxr-2.x-metadata.csv.gz`, `-split.csv.gz`,
            `-chexpert.csv.gz`, `files/p10/p10000032/s50414267/*.jpg`.
        reports: the folder that has `files/p10/p10000032/s50414267.txt`.
        boxes: COCO JSON (COCO Annotator's export) whose file names are the films' dicom ids.
        only_boxed: only films that the boxes file lists.

    Raises:
        DataError: see `finish_build`; a report or box that belongs to no frontal film here.
    """
    folder = Path(folder)
    metadata_path = _published(folder, "metadata")
    metadata = read_source_table(
        metadata_path, ("dicom_id", "subject_id", "study_id", "ViewPosition")
    )
    metadata["row"] = metadata.index + 2
    films = metadata[is_frontal(metadata["ViewPosition"])].reset_index(drop=True)
    sources = [metadata_path]
    box_table = None
    boxes_file = "boxes.csv"
    if boxes is not None:
        boxes_file = Path(boxes).name
        listed, box_table = _read_coco(Path(boxes))
        sources.append(Path(boxes))
        if only_boxed:
            films = films[is_member(films["dicom_id"], listed)].reset_index(drop=True)
    split_path = _published(folder, "split")
    split = read_source_table(split_path, ("dicom_id", "split")).set_index("dicom_id")["split"]
    sources.append(split_path)
    patient, study = "p" + films["subject_id"], "s" + films["study_id"]
    folders = "files/" + patient.str[:3] + "/" + patient + "/" + study
    images = pd.DataFrame(
        {
            "image_id": films["dicom_id"],
            "patient_id": patient,
            "study_id": study,
            "path": folders + "/" + films["dicom_id"] + ".jpg",
            "view": films["ViewPosition"],
            "split": split.reindex(films["dicom_id"]).map(SPLITS).fillna("").to_numpy(),
            "source": "mimic-cxr",
            "row": films["row"],
        }
    )
    chexpert_path = _published(folder, "chexpert")
    tables = SourceTables(
        images,
        metadata_path.name,
        folder,
        box_table,
        boxes_file,
        reports=None if reports is None else _read_reports(Path(reports), folders),
        labels=_labels(chexpert_path, films),
    )
    recorded = {"only_boxed": only_boxed, "films_not_frontal": len(metadata) - len(films)}
    return finish_build(
        "mimic-cxr", tables, [*sources, chexpert_path], options or BuildOptions(), recorded
    )


def _published(folder: Path, table: str) -> Path:
    names = [
        f"mimic-cxr-{version}-{table}.csv{suffix}" for version in VERSIONS for suffix in (".gz", "")
    ]
    return first_existing(folder, names)


def _labels(path: Path, films: pd.DataFrame) -> pd.DataFrame:
    chexpert = read_source_table(path, ("subject_id", "study_id", "Pneumonia", "No Finding"))
    by_study = chexpert.drop_duplicates("study_id").set_index("study_id")
    labels = pd.DataFrame({"image_id": films["dicom_id"]})
    pneumonia = by_study["Pneumonia"].reindex(films["study_id"]).fillna("")
    healthy = by_study["No Finding"].reindex(films["study_id"]).fillna("") == "1.0"
    known = pneumonia.where(pneumonia.isin(("1.0", "0.0")), "").where(~healthy, "0.0")
    labels["pneumonia"] = known.to_numpy()
    for name in CHEXPERT:
        if name in by_study:
            values = by_study[name].reindex(films["study_id"]).fillna("")
            labels["chexpert_" + name.lower().replace(" ", "_")] = values.to_numpy()
    return labels


def _read_reports(root: Path, folders: pd.Series) -> pd.DataFrame:
    """The report of every study that has one: files/p10/p10000032/s50414267.txt."""
    rows: list[tuple[str, str, str]] = []
    problems = []
    splitter = SectionSplitter(HEADINGS)
    for folder in folders.drop_duplicates():
        path = root / f"{folder}.txt"
        try:
            text = path.read_text("utf-8")
            rows += [
                (path.stem, part.name or "report", part.text.strip())
                for part in splitter.split(text)
            ]
        except FileNotFoundError:
            continue
        except UnicodeDecodeError as error:
            got = f"{error.reason} at byte {error.start}"
            problems.append(Problem(path.name, "a report in UTF-8", got))
    if not rows and not problems:
        example = root / f"{folders.iloc[0] if len(folders) else 'files'}.txt"
        raise source_error(example, "reports of these studies", "none")
    if problems:
        raise DataError.from_problems(problems)
    return pd.DataFrame(rows, columns=["study_id", "section", "text"])


def _read_coco(path: Path) -> tuple[pd.Series, pd.DataFrame]:
    """The dicom ids that a COCO file lists, and its boxes with the frames they were drawn in."""
    try:
        content = json.loads(path.read_text("utf-8"))
        images = pd.DataFrame(
            [
                (image["id"], Path(str(image["file_name"])).stem, image["width"], image["height"])
                for image in content["images"]
                if not image.get("deleted")
            ],
            columns=["id", "image_id", "frame_width", "frame_height"],
        )
        names = {item["id"]: str(item["name"]) for item in content.get("categories", [])}
        boxes = pd.DataFrame(
            [
                (note["image_id"], *note["bbox"], names.get(note.get("category_id"), ""), number)
                for number, note in enumerate(content["annotations"])
                if not note.get("deleted")
            ],
            columns=["id", "x", "y", "w", "h", "label", "row"],
        )
    except FileNotFoundError as error:
        raise source_error(path, "a COCO JSON file", "no such file") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        got = f"{type(error).__name__}: {str(error)[:160]}"
        raise source_error(path, "COCO JSON with images and annotations", got) from error
    joined = boxes.merge(images.drop_duplicates("id"), on="id", how="left")
    x, y, w, h = (pd.to_numeric(joined[name], errors="coerce") for name in "xywh")
    table = pd.DataFrame(
        {
            "image_id": joined["image_id"].fillna("").astype("str"),
            "x1": x,
            "y1": y,
            "x2": x + w,
            "y2": y + h,
            "label": joined["label"],
            "annotator": "coco",
            "frame_width": joined["frame_width"].astype(np.float64),
            "frame_height": joined["frame_height"].astype(np.float64),
            "row": joined["row"] + 1,  # the position in `annotations`, from 1
        }
    )
    return images["image_id"], table
