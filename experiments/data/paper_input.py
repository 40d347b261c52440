"""`paper_input`: the paper's own data (RSNA, MIMIC-CXR, NIH), given as manifests."""

from __future__ import annotations

from pathlib import Path

from data_manifests.support.choices import LeakName
from data_manifests.support.errors import ConfigError
from data_manifests.tables.manifest import read_manifest
from experiments.data.manifest_input import ManifestInput
from experiments.methods.inputs import TestSet

LEAK_FREE, PAPER = "leak-free", "paper"
# The paper tests on all 120 NIH pneumonia-box films; most of their patients are in RSNA's training
# films (docs/manifest.md). The split named `paper` accepts this.
ALLOWED = {LEAK_FREE: (), PAPER: tuple(LeakName)}


def paper_input(
    boxed: Path, pairs: Path, reports: Path | None, tests: list[str], *, split: str
) -> ManifestInput:
    """Films of the paper's run; `tests` are `NAME=MANIFEST`, of which the test split is used.

    Of a test manifest without splits all films are used. `reports` default to those of `pairs`.

    Raises:
        ConfigError: an unknown split, no test, or a test without a name.
        DataError: a bad manifest.
    """
    if split not in ALLOWED:
        raise ConfigError(f"--split: expected {LEAK_FREE} or {PAPER}, got {split!r}")
    if not tests:
        raise ConfigError("--test: expected at least one NAME=MANIFEST, got none")
    found = []
    for text in tests:
        name, equals, folder = text.partition("=")
        if not name or not equals or not folder:
            raise ConfigError(f"--test: expected NAME=MANIFEST, got {text!r}")
        films = read_manifest(Path(folder))
        if (films.images["split"] != "").any():
            films = films.split("test")
        found.append(TestSet(name, films))
    return ManifestInput(
        boxed=read_manifest(boxed),
        pairs=read_manifest(pairs),
        pairs_folder=pairs,
        reports=reports or pairs,
        tests=tuple(found),
        training_data="boxes and film-report pairs of the manifests named in the run",
        allow=ALLOWED[split],
        notes=split_notes(split),
    )


def split_notes(split: str) -> tuple[str, ...]:
    """Sentences about the split for the readers of the table."""
    if split == PAPER:
        return (
            "**The paper's split, with its leak**: most patients of the NIH pneumonia-box films "
            "are in the RSNA films that the detector was trained on. Not a fair test.",
        )
    return ("Leak-free: no patient of a test is in any training film.",)
