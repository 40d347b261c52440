"""`build_covid`: the COVID-19 Image Data Collection (ieee8023/covid-chestxray-dataset)."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from data_manifests.builders.build import (
    Build,
    BuildOptions,
    SourceTables,
    finish_build,
    is_frontal,
)
from data_manifests.builders.sources import read_source_table, require_columns, source_error

METADATA = "metadata.csv"
COLUMNS = ("patientid", "offset", "sex", "age", "finding", "view", "modality", "folder", "filename")
SCORES = Path("annotations", "covid-severity-scores.csv")
SCORE_COLUMNS = ("filename", "geographic_mean", "opacity_mean")
# One person each, under two ids: found by equal films.
SAME_PATIENT = {"178": "97", "201": "78"}
KEPT_LABELS = ("survival", "intubated", "went_icu", "RT_PCR_positive", "license")


def build_covid(
    folder: Path, *, severity_scores: Path | None = None, options: BuildOptions | None = None
) -> Build:
    """Frontal films, `clinical_notes` as reports, findings and severity scores.

    A note belongs to its film (`study_id` is the film's id): two films of a patient have two notes,
    and a note may tell the whole case. `labels.csv`: `pneumonia` is the diagnosis (1 for pneumonia
    of any agent, 0 for "No Finding", blank otherwise), not what the film shows; `severity` is
    Cohen's geographic extent, 0 to 8, mean of three raters; `severity_opacity` is 0 to 6.

    Args:
        folder: a checkout: `metadata.csv`, `images/`.
        severity_scores: `covid-severity-scores.csv`; found in `annotations/` if it is there.

    Raises:
        DataError: see `finish_build`.
    """
    folder = Path(folder)
    metadata = read_source_table(folder / METADATA, COLUMNS)
    metadata["row"] = metadata.index + 2
    wanted = (metadata["modality"] == "X-ray") & is_frontal(metadata["view"])
    films = metadata[wanted & (metadata["folder"] == "images")].reset_index(drop=True)
    image_id = films["filename"].map(lambda name: Path(name).stem)
    path = films["folder"] + "/" + films["filename"]
    images = pd.DataFrame(
        {
            "image_id": image_id,
            # Their ids are small numbers, which other data sets use too.
            "patient_id": "covid-" + films["patientid"].str.strip().replace(SAME_PATIENT),
            "study_id": image_id,
            "path": path,
            "view": films["view"].str.strip(),
            "source": "covid",
            "row": films["row"],
        }
    )
    sources = [folder / METADATA]
    labels = pd.DataFrame(
        {
            "image_id": image_id,
            "pneumonia": films["finding"].map(_pneumonia),
            "finding": films["finding"],
            "sex": films["sex"],
            "age": films["age"],
            "offset_days": films["offset"],
        }
    )
    for name in KEPT_LABELS:
        if name in films:
            labels[name] = films[name].str.strip()
    scores_path = severity_scores or folder / SCORES
    if severity_scores is not None or scores_path.is_file():
        scores = _read_scores(Path(scores_path)).set_index("filename")
        for name, column in (
            ("severity", "geographic_mean"),
            ("severity_opacity", "opacity_mean"),
        ):
            labels[name] = scores[column].reindex(films["filename"]).fillna("").to_numpy()
        sources.append(Path(scores_path))
    tables = SourceTables(
        images, METADATA, folder, reports=_reports(films, image_id), labels=labels
    )
    left_out = {"films_not_frontal_or_not_xray": int(len(metadata) - len(films))}
    return finish_build("covid", tables, sources, options or BuildOptions(), left_out)


def _reports(films: pd.DataFrame, image_id: pd.Series) -> pd.DataFrame:
    parts = []
    for section in ("clinical_notes", "other_notes"):
        if section in films:
            text = films[section].str.strip()
            part = {"study_id": image_id, "section": section, "text": text}
            parts.append(pd.DataFrame(part)[text != ""])
    columns = ["study_id", "section", "text"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _pneumonia(finding: str) -> str:
    """`Pneumonia/Viral/COVID-19` is a pneumonia; ARDS, tuberculosis or todo are not known to be."""
    if finding == "No Finding":
        return "0"
    return "1" if finding.split("/")[0] in ("Pneumonia", "COVID-19", "SARS") else ""


def _read_scores(path: Path) -> pd.DataFrame:
    """The score table; its licence and citation are comment lines that start with `##`."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise source_error(path, "the severity scores", type(error).__name__) from error
    kept = [line for line in lines if line.strip() and not line.startswith("##")]
    if not kept:
        raise source_error(path, f"a table with {', '.join(SCORE_COLUMNS)}", "no rows")
    table = pd.read_csv(io.StringIO("\n".join(kept)), dtype="str", keep_default_na=False)
    require_columns(path, table.columns, SCORE_COLUMNS)
    return table.drop_duplicates("filename")
