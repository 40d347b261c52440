"""`open_input`: RSNA boxes and COVID film-note pairs as the input of a run, tested on both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data_manifests.tables.manifest import Manifest, write_manifest
from experiments.data.manifest_input import ManifestInput
from experiments.data.open_films import OpenManifests, open_manifests
from experiments.methods.inputs import TestSet

FULL_FRAMES, COVID = "rsna full frames", "covid films with opacity boxes"
ALL_COVID = "covid all"
NOTES = (
    "All text is real: clinical notes of published COVID cases for the pairs, radiology reports "
    "for the word vectors. No text is read at test.",
)


@dataclass(frozen=True)
class OpenInput:
    """The run's input, and all COVID films, some with severity scores."""

    films: ManifestInput
    covid: Manifest

    def all_covid(self) -> TestSet:
        """COVID films of both splits: severity is fitted and scored out of fold."""
        return TestSet(ALL_COVID, self.covid)


def open_input(data: Path, reports: Path, out: Path) -> OpenInput:
    """Manifests of the open films, written to `out/rsna` and `out/covid`.

    `reports` (a manifest or CSV of reports, such as Open-i's) trains the word vectors.

    Raises:
        DataError: a missing table or a bad row.
    """
    manifests = open_manifests(data)
    for name in ("rsna", "covid"):
        write_manifest(getattr(manifests, name), out / name)
    films = ManifestInput(
        boxed=manifests.rsna,
        pairs=manifests.covid,
        pairs_folder=out / "covid",
        reports=reports,
        tests=open_tests(manifests),
        training_data="RSNA boxes (full and lung-masked frames), COVID film-note pairs",
        notes=NOTES,
    )
    return OpenInput(films, manifests.covid)


def open_tests(manifests: OpenManifests) -> tuple[TestSet, TestSet]:
    """RSNA's full frames and the COVID films with opacity boxes, of held-out patients."""
    covid = manifests.covid.split("test")
    boxed = covid.images["image_id"].isin(set(covid.boxes["image_id"]))
    return (
        TestSet(FULL_FRAMES, manifests.rsna.split("test")),
        TestSet(COVID, covid.subset(boxed)),
    )
