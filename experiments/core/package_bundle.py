"""`package_bundle`: the bundle that ships with the package, from a finished open run."""

from __future__ import annotations

from pathlib import Path

import torch

from attributes.lexicon.load import LEXICON_FOLDER
from data_manifests.tables.manifest import Manifest
from experiments.data.open_input import open_input
from localize.pipeline.make_bundle import make_bundle

METHOD = "proposed"  # its attention is shipped, with the detector trained on RSNA's boxes
GUARD_SOURCES = ("rsna_nih_fullframe",)  # lung-masked films are no ordinary pictures


def package_bundle(data: Path, reports: Path, work: Path, out: Path, device: torch.device) -> Path:
    """Pack the run of `experiment table1 --preset open` in `work` into a half-precision bundle.

    It is calibrated on the validation full frames. Severity is fitted on all scored COVID films;
    its error is measured out of fold. The film guard is fitted on the training films of the full
    frames and of COVID.
    """
    found = open_input(data, reports, work)
    boxed = found.films.boxed
    full_frames = boxed.subset(boxed.images["source"].isin(GUARD_SOURCES))
    return make_bundle(
        out,
        detector_run=work / "detector",
        localizer_run=work / METHOD / "localizer",
        words=work / "words",
        lexicon=LEXICON_FOLDER / "en.yaml",
        validation=boxed.split("val"),
        severity_films=scored_films(found.covid),
        severity_column="severity",
        guard_films=[full_frames, found.covid],
        half_precision=True,
        training_data=found.films.training_data,
        device=device,
    )


def scored_films(covid: Manifest) -> Manifest:
    """The films with an expert's severity score."""
    known = covid.labels["severity"].notna() & (covid.labels["severity"].astype("str") != "")
    return covid.subset(covid.images["image_id"].isin(set(covid.labels.loc[known, "image_id"])))
