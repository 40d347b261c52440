"""`make_box_bundle`: the package's bundle around a detector that was trained on all boxes."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from attributes.lexicon.load import LEXICON_FOLDER
from data_manifests.tables.manifest import Manifest, make_manifest, write_manifest
from experiments.data.box_films import TEST_GROUPS, box_films, without_first_bundle_patients
from experiments.data.open_films import open_manifests
from localize.pipeline.make_bundle import make_bundle
from localize.pipeline.stages import PairParts, mine_stage, propose_stage, train_localizer_stage
from localize.training.settings import LocalizerSettings

GUARD_FILMS = {"train": 400, "val": 150}  # of each source
SEVERITY = "severity"  # column: Cohen's geographic extent, else COVID-Net's (the same scale)
NOTES = "open-2-card.md"  # terms and limits, the end of the bundle's model card
TRAINING_DATA = (
    "boxes of RSNA (full and lung-masked frames) and SIIM COVID-19 films, labels of children's "
    "films, notes of COVID films"
)


@dataclass(frozen=True)
class BoxBundleParts:
    """`data` is the folder of films, `detector` a detector's folder, `words` a folder with word
    vectors (a bundle has them), `work` takes the steps between. `localizer` is one that was trained
    on this detector (a bundle has it); None trains it."""

    data: Path
    detector: Path
    words: Path
    work: Path
    localizer: Path | None = None


def make_box_bundle(parts: BoxBundleParts, bundle: Path, device: torch.device) -> Path:
    """Train the localizer on COVID film-note pairs, calibrate on all validation films, pack.

    No validation film is of a patient that `open_lite0` was trained on.

    Raises:
        DataError: a missing table or a bad row.
        CheckpointError: `bundle` exists.
    """
    covid = covid_films(parts.data)
    films = without_first_bundle_patients(box_films(parts.data), parts.data)
    localizer = parts.localizer or _trained_localizer(parts, covid, device)
    return make_bundle(
        bundle,
        detector_run=parts.detector,
        localizer_run=localizer,
        words=parts.words,
        lexicon=LEXICON_FOLDER / "en.yaml",
        validation=validation_films(films),
        severity_films=scored_films(covid),
        severity_column=SEVERITY,
        guard_films=guard_films(films, covid),
        half_precision=True,
        several_sources=True,
        child_sources=TEST_GROUPS["children"],
        training_data=TRAINING_DATA,
        card_notes=resources.files("experiments.presets").joinpath(NOTES).read_text("utf-8"),
        device=device,
    )


def _trained_localizer(parts: BoxBundleParts, covid: Manifest, device: torch.device) -> Path:
    notes = covid.subset(covid.images["study_id"].isin(set(covid.reports["study_id"])))
    write_manifest(notes, parts.work / "notes")
    pairs = PairParts(
        detector=parts.detector,
        rois=propose_stage(
            parts.detector,
            notes.subset(notes.images["split"].isin(["train", "val"])),
            parts.work / "rois",
            device=device,
        ),
        attributes=mine_stage(parts.work / "notes", parts.work / "mined"),
        words=parts.words,
        pairs=notes,
        validation=notes.split("val"),
        training_data=TRAINING_DATA,
    )
    return train_localizer_stage(
        pairs, parts.work / "localizer", settings=LocalizerSettings(), device=device
    )


def covid_films(data: Path) -> Manifest:
    """COVID films; `severity` is Cohen's score, or COVID-Net's where Cohen gave none."""
    covid = open_manifests(data).covid
    labels = covid.labels.copy()
    cohen, net = (
        pd.to_numeric(labels[name], errors="coerce") for name in ("severity", "covidnet_geographic")
    )
    labels["cohen"] = cohen
    labels[SEVERITY] = cohen.fillna(net)
    return make_manifest(
        covid.images, covid.boxes, covid.reports, labels, info=covid.info, root=covid.root
    )


def scored_films(covid: Manifest, column: str = SEVERITY) -> Manifest:
    """The films with an expert's score."""
    scored = set(covid.labels.loc[covid.labels[column].notna(), "image_id"])
    return covid.subset(covid.images["image_id"].isin(scored))


def validation_films(films: Manifest) -> Manifest:
    """The validation films of all groups, `opacity` under the name that calibration reads."""
    return labelled_films(films.split("val"))


def labelled_films(films: Manifest) -> Manifest:
    """Films of the test groups, with `opacity` as the label `pneumonia`."""
    tested = [source for sources in TEST_GROUPS.values() for source in sources]
    films = films.subset(films.images["source"].isin(tested))
    labels = films.labels.rename(columns={"opacity": "pneumonia"})
    return make_manifest(films.images, films.boxes, None, labels, info=films.info, root=films.root)


def guard_films(films: Manifest, covid: Manifest, *, seed: int = 0) -> list[Manifest]:
    """Films of each source that the film guard learns to know: adults, COVID era, children."""
    rng = np.random.default_rng(seed)
    found = [covid]
    for sources in TEST_GROUPS.values():
        part = films.subset(films.images["source"].isin(sources))
        chosen: list[str] = []
        for split, most in GUARD_FILMS.items():
            ids = part.split(split).images["image_id"].to_numpy()
            chosen += rng.permutation(ids)[:most].tolist()
        found.append(part.subset(part.images["image_id"].isin(set(chosen))))
    return found
