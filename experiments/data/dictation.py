"""`dictation_input`: real films and boxes; for half of the patients only simulated reports.

Half of the RSNA patients give boxes. The boxes of the others are hidden and replaced by a report
dictated from them (side, zone, extent).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from data_manifests.laterality import SIDES, WHOLE_FILM, LungBorders, Place, places_of
from data_manifests.tables.manifest import Manifest, make_manifest, write_manifest
from data_manifests.tables.split import split_manifest
from experiments.data.manifest_input import ManifestInput
from experiments.data.open_films import open_manifests
from experiments.data.open_input import open_tests
from localize.viewing.gallery.cards import Corners

STRATA = ("has_box", "pneumonia", "source")
MODERATE_SHARE, SEVERE_SHARE = 0.06, 0.14  # of the film's area under boxes: thirds of RSNA's films
NORMAL = "The lungs are clear. No opacity."
NEGATIVE = "No focal opacity. No consolidation."
NOTES = (
    "Films and boxes are real; **all text of the pairs is simulated**. Half of the RSNA patients "
    "give their boxes to the detector. The boxes of the other half are hidden; only a report "
    "dictated from them (side, zone, extent) is used. No text is read at test.",
)


def dictation_input(data: Path, reports: Path, out: Path, *, seed: int) -> ManifestInput:
    """Half of the RSNA training patients with boxes, half with dictated reports.

    The pairs are written to `out/dictated`; they keep their boxes, which only the oracle `truth`
    reads. `reports` trains the word vectors.

    Raises:
        DataError: a missing table or a bad row.
    """
    manifests = open_manifests(data)
    rsna = manifests.rsna
    halves = split_manifest(rsna.split("train"), {"train": 0.5, "val": 0.5}, STRATA, seed=seed)
    boxed = rsna.subset(
        rsna.images["image_id"].isin(set(halves.split("train").images["image_id"]))
        | (rsna.images["split"] == "val")
    )
    dictated = split_manifest(
        with_dictation(halves.split("val")), {"train": 0.85, "val": 0.15}, STRATA, seed=seed
    )
    write_manifest(dictated, out / "dictated")
    return ManifestInput(
        boxed=boxed,
        pairs=dictated,
        pairs_folder=out / "dictated",
        reports=reports,
        tests=open_tests(manifests),
        training_data="RSNA boxes of half the patients, reports dictated from the others' boxes",
        notes=NOTES,
    )


def with_dictation(films: Manifest) -> Manifest:
    """The films with a dictated report each, except films without a label for opacity."""
    boxes: dict[str, list[Corners]] = {}
    corners = films.boxes[["x1", "y1", "x2", "y2"]].to_numpy(np.float64).tolist()
    for image_id, (x1, y1, x2, y2) in zip(films.boxes["image_id"], corners, strict=True):
        boxes.setdefault(image_id, []).append((x1, y1, x2, y2))
    images, labels = films.images, films.labels
    is_negative = labels["pneumonia"].isin(["0", 0]).tolist()
    is_normal = labels["normal"].isin(["1", 1]).tolist()
    sizes = images[["width", "height"]].to_numpy(np.int64).tolist()
    rows = []
    for row, (image_id, study_id) in enumerate(
        zip(images["image_id"], images["study_id"], strict=True)
    ):
        if image_id in boxes:
            text = dictate(boxes[image_id], *sizes[row])
        elif is_negative[row]:
            text = NORMAL if is_normal[row] else NEGATIVE
        else:
            continue
        rows.append((study_id, "findings", text))
    return make_manifest(
        films.images,
        films.boxes,
        pd.DataFrame(rows, columns=["study_id", "section", "text"]),
        films.labels,
        info=replace(films.info, builder="dictation"),
        root=films.root,
    )


def dictate(
    boxes: Sequence[Corners], width: int, height: int, borders: LungBorders = WHOLE_FILM
) -> str:
    """A report of opacities in these boxes: extent, then side and zone of each.

    `borders` are the lines between sides and zones: those of the average film by default.

    >>> dictate([(300, 300, 420, 480)], 512, 512)
    'Mild focal opacity in the left lower zone.'
    """
    places = places_of(sorted(boxes), width, height, borders)
    share = sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in boxes) / (width * height)
    extent = "Mild" if share < MODERATE_SHARE else "Moderate"
    if share >= SEVERE_SHARE:
        extent = "Severe"
    named = list(dict.fromkeys(_where(place) for place in places))
    if len(boxes) == 1:
        return f"{extent} focal opacity {named[0]}."
    sides = {place.side for place in places} >= set(SIDES)
    kind = "bilateral multifocal" if sides else "multifocal"
    first = f"{extent} {kind} opacities."
    return " ".join([first, *(f"Opacity {place}." for place in named)])


def _where(place: Place) -> str:
    if place.side == "central":
        return "in the perihilar region"
    if place.zone == "whole":
        return f"in the {place.side} lung"
    return f"in the {place.side} {place.zone} zone"
