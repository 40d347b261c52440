"""`box_films`: every film that can teach or test a box detector, in one manifest, split by patient.

Five parts of the data folder are joined: RSNA full frames (`rsna_nih_fullframe` and
`rsna_fullframe_2`), RSNA films with the outside of the lungs blacked out (`rsna_lungmasked`),
SIIM-FISABIO-RSNA (`siim_covid19`) and children's films (`kermany_pediatric`, film labels only).
Column `source` names the part. Patients occur in several RSNA parts, so the split is made over all
of them together:

- `rsna_nih_fullframe` keeps the split of the first bundle, so its test patients stay test patients;
- masked films are for training only, and only those of patients that are not held out;
- a film whose label does not say whether there is an opacity is left out.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from data_manifests.support.atomic import file_sha256
from data_manifests.support.csv_file import read_text_csv
from data_manifests.tables.columns import BOX_LABEL
from data_manifests.tables.join import join_manifests
from data_manifests.tables.manifest import Manifest, ManifestInfo, make_manifest
from data_manifests.tables.split import split_around, split_manifest
from experiments.data.open_films import (
    open_manifests,
    rsna_full_frames,
    rsna_manifest,
    visible_boxes,
    with_split,
)

FULL_FRAMES = ("rsna_nih_fullframe", "rsna_fullframe_2")
MASKED, SIIM, CHILDREN = "rsna_lungmasked", "siim_covid19", "kermany_pediatric"
# Box sources that are reported apart; masked films are never tested on.
TEST_GROUPS = {"rsna": FULL_FRAMES, "siim": (SIIM,), "children": (CHILDREN,)}
RSNA_FRACTIONS = {"train": 0.4, "val": 0.3, "test": 0.3}  # of all patients; most are fixed already
FRACTIONS = {"train": 0.75, "val": 0.10, "test": 0.15}
SIIM_LABELS = {"boxed": "1", "negative study": "0"}  # a positive study's film without box: unknown
CHILDREN_LABELS = {"normal": "0", "bacterial pneumonia": "1", "viral pneumonia": "1"}


def box_films(data: Path, *, seed: int = 0) -> Manifest:
    """All films of known label; `labels` has `opacity` (0 or 1), `normal` and `aspect`.

    Raises:
        DataError: a missing table or a bad row.
    """
    full = _rsna_full_frames(data, seed)
    masked = split_around(visible_boxes(rsna_manifest(data / MASKED, "opacity")), full)
    siim = split_manifest(_siim(data / SIIM), FRACTIONS, ("opacity",), seed)
    children = split_manifest(_children(data / CHILDREN), FRACTIONS, ("opacity",), seed)
    parts = [full, _named_apart(with_split(masked)), siim, children]
    return join_manifests([_of_known_label(part) for part in parts])


def without_first_bundle_patients(films: Manifest, data: Path) -> Manifest:
    """Without the held-out films of patients on whose masked films `open_lite0` was trained.

    Detectors that start from its weights have seen these patients; all are of `rsna_fullframe_2`.
    """
    first = open_manifests(data).rsna.images
    seen = set(first.loc[first["split"] == "train", "patient_id"])
    images = films.images
    is_leak = images["patient_id"].isin(seen) & images["split"].isin(("val", "test"))
    return films.subset(~is_leak)


def is_unplaced(films: Manifest) -> pd.Series:
    """Films with an opacity and without a box, by row: no negatives, and no truth for boxes."""
    boxed = films.images["image_id"].isin(set(films.boxes["image_id"]))
    positive = set(films.labels.loc[films.labels["opacity"] == 1, "image_id"])
    return ~boxed & films.images["image_id"].isin(positive)


def detector_films(films: Manifest, *, film_labels: bool) -> Manifest:
    """The films for `pneumoloc detector train`.

    Validation films have boxes or nothing to box; with `film_labels` training films may also be
    `is_unplaced`, for a training with `training.film_loss`.
    """
    unplaced = is_unplaced(films)
    if film_labels:
        unplaced &= films.images["split"] != "train"
    return films.subset(~unplaced)


def _rsna_full_frames(data: Path, seed: int) -> Manifest:
    """Both folders of full frames; a film that is in both is taken from the first."""
    first = with_split(rsna_full_frames(data / FULL_FRAMES[0], "opacity"))
    second = rsna_manifest(data / FULL_FRAMES[1], "opacity")
    known = set(read_text_csv(data / FULL_FRAMES[0] / "metadata.csv")["nih_image"])
    table = read_text_csv(data / FULL_FRAMES[1] / "metadata.csv")
    twice = {Path(path).stem for path in table.loc[table["nih_image"].isin(known), "image"]}
    second = second.subset(~second.images["image_id"].isin(twice))
    joined = join_manifests([first, second])
    return split_manifest(joined, RSNA_FRACTIONS, ("opacity",), seed, keep_existing=True)


def _siim(folder: Path) -> Manifest:
    films, boxes = read_text_csv(folder / "metadata.csv"), read_text_csv(folder / "boxes.csv")
    sizes = films.set_index("image")[["width", "height"]].astype("float64")
    sizes = sizes.loc[boxes["image"]].reset_index(drop=True)
    corners = {
        # One of the 7,119 boxes reaches .3 px over the edge of its film.
        corner: boxes[corner].astype("float64").clip(0, sizes[side])
        for corner, side in (("x1", "width"), ("y1", "height"), ("x2", "width"), ("y2", "height"))
    }
    box_table = pd.DataFrame(
        {
            "image_id": boxes["image"].map(_image_id),
            **corners,
            "label": BOX_LABEL,
            "annotator": boxes["source"],
        }
    )
    opacity = films["box_status"].map(SIIM_LABELS).fillna("")
    return _manifest(folder, films, box_table, opacity, study_id=films["study_id"])


def _children(folder: Path) -> Manifest:
    films = read_text_csv(folder / "metadata.csv")
    opacity = films["label"].map(CHILDREN_LABELS).fillna("")
    return _manifest(folder, films, None, opacity, study_id=films["image"].map(_image_id))


def _manifest(
    folder: Path,
    films: pd.DataFrame,
    boxes: pd.DataFrame | None,
    opacity: pd.Series,
    *,
    study_id: pd.Series,
) -> Manifest:
    """A manifest of a folder in which "no opacity" means a normal film."""
    image_id = films["image"].map(_image_id)
    images = pd.DataFrame(
        {
            "image_id": image_id,
            "patient_id": films["patient_id"],
            "study_id": study_id,
            "path": films["image"],
            "width": films["width"],
            "height": films["height"],
            "source": folder.name,
        }
    )
    labels = pd.DataFrame(
        {
            "image_id": image_id,
            "opacity": opacity,
            "normal": (opacity == "0").map({True: "1", False: "0"}),
            "aspect": films["aspect"],
            "sex": films["sex"] if "sex" in films else "",
        }
    )
    names = [name for name in ("metadata.csv", "boxes.csv") if (folder / name).exists()]
    info = ManifestInfo(
        builder="box-films",
        image_root=str(folder),
        sources={name: file_sha256(folder / name) for name in names},
    )
    return make_manifest(images, boxes, None, labels, info=info)


def _named_apart(masked: Manifest) -> Manifest:
    """Masked films carry the RSNA ids of full frames; their own get a prefix."""
    tables = [masked.images.copy(), masked.boxes.copy(), masked.labels.copy()]
    for table in tables:
        table["image_id"] = "masked-" + table["image_id"]
    tables[0]["study_id"] = tables[0]["image_id"]
    return make_manifest(tables[0], tables[1], None, tables[2], info=masked.info, root=masked.root)


def _of_known_label(manifest: Manifest) -> Manifest:
    known = manifest.labels.loc[manifest.labels["opacity"].isin([0, 1]), "image_id"]
    return manifest.subset(manifest.images["image_id"].isin(set(known)))


def _image_id(path: str) -> str:
    return Path(path).stem
