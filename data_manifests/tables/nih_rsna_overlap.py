"""NIH and RSNA: the shipped film list, and RSNA's own mapping of its films to NIH's.

RSNA's challenge took 30,000 NIH films and gave them new names, so that a model trained on RSNA's
boxes has seen most patients of the NIH pneumonia boxes. The mapping is published by RSNA
(`pneumonia-challenge-dataset-mappings_2018.json`) and by no Python package.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path

import pandas as pd

from data_manifests.support.errors import DataError, Problem

NIH_FILM = r"\d{8}_\d{3}"  # 00013118_008
NIH_PATIENT = r"\d{8}"
RSNA_FILM = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # Kaggle's patientId names one film


@cache
def _nih_pneumonia_films() -> pd.DataFrame:
    with (files("data_manifests.tables") / "nih_pneumonia_films.csv").open("rb") as handle:
        return pd.read_csv(handle, dtype="str", keep_default_na=False)


def nih_pneumonia_films() -> pd.DataFrame:
    """The 120 films of NIH's BBox_List_2017 with a pneumonia box (one box each, 116 patients).

    Columns: `image_id` (00013118_008), `patient_id` (00013118), `split` (val or test, half of the
    patients each: the leak-free split trains on none of them), `rsna_overlap`: `film` or
    `patient` where that is known to be in RSNA stage 2 train, else `unknown`.
    """
    return _nih_pneumonia_films().copy()


def is_nih_film(image_ids: pd.Series) -> pd.Series:
    """Which image ids have the form of NIH ChestX-ray14."""
    return image_ids.str.fullmatch(NIH_FILM).astype(bool)


def is_rsna_film(image_ids: pd.Series) -> pd.Series:
    """Which image ids have the form of the RSNA challenge."""
    return image_ids.str.fullmatch(RSNA_FILM).astype(bool)


def is_unmapped_rsna(images: pd.DataFrame) -> pd.Series:
    """Which films are RSNA's with a `patient_id` that is not NIH's: their patient is not known."""
    is_known = images["patient_id"].str.fullmatch(NIH_PATIENT).astype(bool)
    return is_rsna_film(images["image_id"]) & ~is_known


def read_rsna_mapping(path: Path) -> dict[str, str]:
    """RSNA film id to NIH film id, from RSNA's mapping file.

    Also accepts a CSV with the columns `rsna_id, nih_image`. NIH ids come without `.png`.

    Raises:
        DataError: neither of the two forms.
    """
    path = Path(path)
    try:
        if path.suffix.lower() == ".json":
            entries = json.loads(path.read_text("utf-8"))
            pairs = [(entry["subset_img_id"], entry["img_id"]) for entry in entries]
        else:
            table = pd.read_csv(path, dtype="str", keep_default_na=False)
            pairs = list(zip(table["rsna_id"], table["nih_image"], strict=True))
    except FileNotFoundError as error:
        raise _mapping_error(path, "no such file") from error
    except (ValueError, KeyError, TypeError) as error:
        raise _mapping_error(path, f"{type(error).__name__}: {str(error)[:160]}") from error
    return {str(rsna): str(nih).removesuffix(".png") for rsna, nih in pairs if rsna and nih}


def rsna_overlap(mapping: dict[str, str], rsna_train_ids: set[str]) -> pd.DataFrame:
    """`nih_pneumonia_films` with `rsna_overlap` known for every film: film, patient or none."""
    films = nih_pneumonia_films()
    seen = {nih for rsna, nih in mapping.items() if rsna in rsna_train_ids}
    patients = {nih[:8] for nih in seen}
    films["rsna_overlap"] = "none"
    films.loc[films["patient_id"].isin(patients), "rsna_overlap"] = "patient"
    films.loc[films["image_id"].isin(seen), "rsna_overlap"] = "film"
    return films


def _mapping_error(path: Path, got: str) -> DataError:
    problem = Problem(
        file=path.name,
        field="subset_img_id, img_id",
        expected="pneumonia-challenge-dataset-mappings_2018.json, or a CSV with rsna_id, nih_image",
        got=got,
    )
    return DataError.from_problems([problem])
