"""`open_manifests`: manifests of a folder of open films, split by patient across its parts.

The folder holds `rsna_nih_fullframe`, `rsna_lungmasked` and `covid_chestxray`, each with `images/`,
`metadata.csv` (one row a film) and `boxes.csv`. Validation and test films come from the full frames
only; lung-masked films of their patients are left out. COVID films with opacity boxes are the
second test; the other patients' films give film-note pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pandas as pd

from data_manifests.support.atomic import file_sha256
from data_manifests.support.csv_file import read_text_csv
from data_manifests.tables.columns import BOX_LABEL, CORNERS
from data_manifests.tables.join import join_manifests
from data_manifests.tables.manifest import Manifest, ManifestInfo, make_manifest
from data_manifests.tables.split import split_around, split_manifest

MIN_VISIBLE = 0.45  # share of a box that the lung mask must leave, else the opacity is cut away
OPACITY_KIND = "per_lung_opacity"
# Borghesi & Maroldi 2020: zones A to C are the right lung from above, D to F the left; 0 to 3 each.
BRIXIA_ZONES = {
    "A": "right upper",
    "B": "right middle",
    "C": "right lower",
    "D": "left upper",
    "E": "left middle",
    "F": "left lower",
}
SENIOR, JUNIOR = "brixia_S_", "brixia_J_"
ZONE_COLUMNS = tuple(f"{reader}{zone}" for reader in (SENIOR, JUNIOR) for zone in BRIXIA_ZONES)
# Further scores of the same films, and days since the first symptom or admission.
MORE_SCORES = (
    "covidnet_geographic",
    "covidnet_opacity",
    "brixia_S_Global",
    *ZONE_COLUMNS,
    "offset_days",
)
SPLIT_TABLE = "open_fullframe_split.csv"
NOT_READ = "not in RSNA train"
NEGATIVE_CLASSES = ("Normal", "No Lung Opacity / Not Normal")


@dataclass(frozen=True)
class OpenManifests:
    """`rsna`: films with boxes (train: full and masked frames; val, test: full frames). `covid`:
    films with notes; split test are those of patients with opacity boxes."""

    rsna: Manifest
    covid: Manifest


def open_manifests(data: Path) -> OpenManifests:
    """Read the three folders.

    Raises:
        DataError: a missing table or a bad row.
    """
    full = rsna_full_frames(data / "rsna_nih_fullframe", "pneumonia")
    masked = split_around(visible_boxes(rsna_manifest(data / "rsna_lungmasked", "pneumonia")), full)
    rsna = join_manifests([with_split(full), with_split(masked)])
    return OpenManifests(rsna=rsna, covid=_covid(data / "covid_chestxray"))


def rsna_full_frames(folder: Path, label: str) -> Manifest:
    """`rsna_nih_fullframe` with the split that ships with the package; see `rsna_manifest`."""
    return _with_fixed_split(rsna_manifest(folder, label))


def rsna_manifest(folder: Path, label: str) -> Manifest:
    """Films and boxes of one RSNA folder; `label` names the column of "has an opacity"."""
    films, boxes = read_text_csv(folder / "metadata.csv"), read_text_csv(folder / "boxes.csv")
    films = films[films["patient_id"] != ""].reset_index(drop=True)
    boxes = boxes[boxes["image"].isin(set(films["image"]))]
    images = _images(films, folder.name)
    image_id = images["image_id"]
    visible = boxes["mask_coverage"] if "mask_coverage" in boxes else "1"
    box_table = _boxes(boxes, boxes["source"]).assign(visible=visible)
    labels = pd.DataFrame(
        {
            "image_id": image_id,
            label: films.apply(_rsna_label, axis=1),
            "normal": films.apply(_is_normal, axis=1),
            **{name: films[name] if name in films else "" for name in ("sex", "age")},
        }
    )
    return make_manifest(images, box_table, None, labels, info=_info(folder))


def _images(films: pd.DataFrame, source: str) -> pd.DataFrame:
    """`images.csv` of a metadata table; a film is its own study."""
    image_id = films["image"].map(lambda path: Path(path).stem)
    images = films[["patient_id", "view", "width", "height"]].assign(path=films["image"])
    return images.assign(image_id=image_id, study_id=image_id, source=source)


def _boxes(boxes: pd.DataFrame, annotator: pd.Series) -> pd.DataFrame:
    """`boxes.csv` of a table of boxes."""
    image_id = boxes["image"].map(lambda path: Path(path).stem)
    corners = boxes[list(CORNERS)]
    return corners.assign(image_id=image_id, label=BOX_LABEL, annotator=annotator)


def _rsna_label(film: pd.Series) -> str:
    if film["rsna_class"] == "Lung Opacity":
        return "1"
    if film["rsna_class"] in NEGATIVE_CLASSES or film["nih_labels"] == "No Finding":
        return "0"
    return ""  # a text-mined label of another finding tells nothing about opacity


def _is_normal(film: pd.Series) -> str:
    """Nothing found by RSNA's readers, or by NIH's text mining where RSNA did not read the film."""
    by_text = film["rsna_class"] == NOT_READ and film["nih_labels"] == "No Finding"
    return "1" if film["rsna_class"] == "Normal" or by_text else "0"


def visible_boxes(manifest: Manifest) -> Manifest:
    """Without films on which the mask cut a box away."""
    visible = manifest.boxes["visible"].astype("float64")
    hidden = set(manifest.boxes.loc[visible < MIN_VISIBLE, "image_id"])
    return manifest.subset(~manifest.images["image_id"].isin(hidden))


def _with_fixed_split(manifest: Manifest) -> Manifest:
    """The full frames with the split that ships as a table.

    Thirds by patient, stratified by boxes and label; films without a label for opacity are in
    none. It is a table so that a detector of one version is never tested on its training films by
    another version.
    """
    table = resources.files("experiments.presets") / SPLIT_TABLE
    with resources.as_file(table) as path:
        split = read_text_csv(path).set_index("image_id")["split"]
    images = manifest.images.copy()
    images["split"] = images["image_id"].map(split).fillna("")
    return make_manifest(
        images, manifest.boxes, manifest.reports, manifest.labels, info=manifest.info
    )


def with_split(manifest: Manifest) -> Manifest:
    """Without the films that are in no split."""
    return manifest.subset(manifest.images["split"] != "")


def _covid(folder: Path) -> Manifest:
    films, boxes = read_text_csv(folder / "metadata.csv"), read_text_csv(folder / "boxes.csv")
    boxes = boxes[boxes["kind"] == OPACITY_KIND]
    images = _images(films, folder.name)
    image_id = images["image_id"]
    boxed = set(films.loc[films["image"].isin(set(boxes["image"])), "patient_id"])
    is_test = films["patient_id"].isin(boxed)
    images["split"] = is_test.map({True: "test", False: ""})
    notes = films["clinical_notes"].str.strip() != ""
    manifest = make_manifest(
        images,
        _boxes(boxes, boxes["kind"]),
        pd.DataFrame(
            {
                "study_id": image_id[notes],
                "section": "clinical_notes",
                "text": films.loc[notes, "clinical_notes"],
            }
        ),
        pd.DataFrame(
            {
                "image_id": image_id,
                "severity": films["severity_geographic_mean"],
                **{name: films[name] for name in MORE_SCORES},
                "sex": films["sex"],
                "age": films["age"],
            }
        ),
        info=_info(folder),
    )
    rest = split_manifest(
        manifest.subset(~is_test), {"train": 0.85, "val": 0.15}, ("has_report",), seed=0
    )
    return join_manifests([manifest.subset(is_test), rest])


def _info(folder: Path) -> ManifestInfo:
    return ManifestInfo(
        builder="open-data",
        image_root=str(folder),
        sources={name: file_sha256(folder / name) for name in ("metadata.csv", "boxes.csv")},
    )
