"""`ManifestInput`: the films of a run that come from manifests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data_manifests.tables.manifest import Manifest
from experiments.methods.inputs import TestSet


@dataclass(frozen=True)
class ManifestInput:
    """Films of a run.

    Args:
        boxed: films with boxes, splits train and val; they train the detector.
        pairs: films with reports, splits train and val; they train the attention.
        pairs_folder: where `pairs` lies as a manifest.
        reports: manifest or CSV of reports for the word vectors.
        tests: test films.
        training_data: one line for the bundle's description.
        allow: leaks that are accepted by name, see `data_manifests.tables.leaks`.
        notes: sentences for the readers of the table.
    """

    boxed: Manifest
    pairs: Manifest
    pairs_folder: Path
    reports: Path
    tests: tuple[TestSet, ...]
    training_data: str
    allow: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
