"""The run on open films: RSNA boxes and COVID film-note pairs, tested on both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from data_manifests.tables.manifest import Manifest, write_manifest
from experiments.core.films_run import FilmsInput, FilmsResult, run_films
from experiments.core.presets import FilmsPreset
from experiments.core.road import Road, TestSet
from experiments.data.open_films import OpenManifests, open_manifests
from experiments.methods.method import build_method, method_prediction
from localize.prediction.tables import Prediction

FULL_FRAMES, COVID = "rsna full frames", "covid films with opacity boxes"
TEXT: tuple[str, ...] = (
    "All text is real: the notes of published COVID cases for the pairs, radiology reports for the "
    "word vectors. No text is read at test.",
)


@dataclass(frozen=True)
class OpenInput:
    """The run's input, and all COVID films, some with severity scores."""

    films: FilmsInput
    covid: Manifest


def open_input(data: Path, reports: Path, out: Path) -> OpenInput:
    """Manifests of the open films, written to `out/rsna` and `out/covid`.

    `reports` (a manifest or CSV of reports, such as Open-i's) teaches the word vectors.

    Raises:
        DataError: a missing table or a bad row.
    """
    manifests = open_manifests(data)
    for name in ("rsna", "covid"):
        write_manifest(getattr(manifests, name), out / name)
    return OpenInput(
        FilmsInput(
            boxed=manifests.rsna,
            pairs=manifests.covid,
            pairs_folder=out / "covid",
            reports=reports,
            tests=open_tests(manifests),
            training_data="RSNA boxes (full and lung-masked frames), COVID film-note pairs",
        ),
        manifests.covid,
    )


def open_tests(manifests: OpenManifests) -> tuple[TestSet, TestSet]:
    """RSNA's full frames and the COVID films with opacity boxes, of patients held out."""
    covid = manifests.covid.split("test")
    boxed = covid.images["image_id"].isin(set(covid.boxes["image_id"]))
    return (
        open_test(FULL_FRAMES, manifests.rsna.split("test")),
        open_test(COVID, covid.subset(boxed)),
    )


def open_test(name: str, films: Manifest) -> TestSet:
    """A test set whose predictions lie in a folder of its own name."""
    return TestSet(name, name.replace(" ", "_"), films)


def run_open(
    data: Path,
    reports: Path,
    out: Path,
    *,
    preset: FilmsPreset,
    backbone_weights: Path | None,
    device: torch.device,
) -> Iterator[str | FilmsResult]:
    """Train on the RSNA boxes and the COVID film-note pairs, test on both."""
    found = open_input(data, reports, out)
    yield from run_films(
        found.films, out, preset=preset, backbone_weights=backbone_weights, device=device
    )


def covid_prediction(road: Road, covid: Manifest, preset: FilmsPreset, method: str) -> Prediction:
    """A method's prediction of all COVID films: severity is scored on those of both splits."""
    specs = {spec.name: spec for spec in preset.methods}
    test = TestSet("all covid films", "covid_all", covid)
    return method_prediction(build_method(specs[method]), road, test)
