"""`siim_input`: RSNA boxes teach, SIIM's films are the new hospital, with dictated reports.

The detector is the package's `open_lite0`, which has seen RSNA's boxes alone. Reports of SIIM's
training and validation films are dictated from their readers' boxes, which are hidden.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from data_manifests.tables.manifest import Manifest, make_manifest, write_manifest
from experiments.data.box_films import FULL_FRAMES, MASKED, SIIM, box_films
from experiments.data.free_dictation import dictate_freely
from experiments.data.manifest_input import ManifestInput
from experiments.methods.inputs import TestSet
from localize.viewing.gallery.cards import Corners

TEST = "siim films"
# At least so many of each split: what one GPU trains on and predicts in three minutes.
FILMS = {"train": 2600, "val": 150, "test": 620}
NOTES = (
    "Films and boxes are real; **all text of the pairs is simulated**: dictated from the SIIM "
    "readers' boxes (side, zones, size, central or peripheral). 15 % of the opacities go unsaid, "
    "10 % of the films are hedged, words vary, and each reader's zones differ a little. The boxes "
    "themselves are hidden, except from `truth`. No text is read at test.",
)


def siim_input(data: Path, out: Path) -> ManifestInput:
    """RSNA films with boxes, SIIM films with dictated reports, SIIM test films.

    The pairs are written to `out/dictated`.

    Raises:
        DataError: a missing table or a bad row.
    """
    films = box_films(data)
    siim = with_free_dictation(_of(films, (SIIM,)))
    chosen = {split: _some_patients(siim.split(split), count) for split, count in FILMS.items()}
    test = siim.subset(siim.images["image_id"].isin(chosen["test"]))
    pairs = siim.subset(siim.images["image_id"].isin(chosen["train"] | chosen["val"]))
    write_manifest(pairs, out / "dictated")
    return ManifestInput(
        boxed=_of(films, (*FULL_FRAMES, MASKED)),
        pairs=pairs,
        pairs_folder=out / "dictated",
        reports=out / "dictated",
        tests=(TestSet(TEST, test),),
        training_data="RSNA boxes; reports dictated from the boxes of SIIM films",
        notes=NOTES,
    )


def with_free_dictation(films: Manifest) -> Manifest:
    """The films with a dictated report each; a film is its own study.

    A film's report depends on its id alone, so it is the same in every run.
    """
    boxes: dict[str, list[Corners]] = {}
    corners = films.boxes[["x1", "y1", "x2", "y2"]].to_numpy(np.float64).tolist()
    for image_id, (x1, y1, x2, y2) in zip(films.boxes["image_id"], corners, strict=True):
        boxes.setdefault(image_id, []).append((x1, y1, x2, y2))
    texts = [
        dictate_freely(
            boxes.get(image_id, ()),
            width,
            height,
            np.random.default_rng(zlib.crc32(image_id.encode())),
        )
        for image_id, width, height in films.images[["image_id", "width", "height"]].itertuples(
            index=False
        )
    ]
    image_ids = films.images["image_id"]
    return make_manifest(
        films.images.assign(study_id=image_ids),
        films.boxes,
        pd.DataFrame({"study_id": image_ids, "section": "findings", "text": texts}),
        films.labels,
        info=replace(films.info, builder="dictation"),
        root=films.root,
    )


def _some_patients(films: Manifest, count: int) -> set[str]:
    """The ids of at least `count` films: all films of patients drawn by their id."""
    patients = sorted(set(films.images["patient_id"]), key=lambda one: zlib.crc32(one.encode()))
    by_patient = films.images.groupby("patient_id")["image_id"].agg(list)
    chosen: set[str] = set()
    for patient in patients:
        if len(chosen) >= count:
            break
        chosen |= set(by_patient[patient])
    return chosen


def _of(films: Manifest, sources: tuple[str, ...]) -> Manifest:
    return films.subset(films.images["source"].isin(sources))
