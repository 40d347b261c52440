"""What the `manifest` commands write and print."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import typer

from data_manifests.builders.build import Build
from data_manifests.support.csv_file import write_csv
from data_manifests.support.errors import MAX_PROBLEMS_SHOWN, ConfigError, Problem
from data_manifests.support.membership import Lookup, text_codes
from data_manifests.tables.manifest import (
    Manifest,
    ManifestInfo,
    read_manifest,
    write_manifest,
    write_with_split,
)

SKIPPED = "skipped.csv"
PROBLEM_COLUMNS = ("file", "row", "field", "expected", "got", "fix")


def save_build(build: Build, out: Path, as_json: bool) -> None:
    """Write a built manifest and the list of films left out, then say what it holds."""
    write_manifest(build.manifest, out)
    if build.skipped:
        rows = [problem_json(problem) for problem in build.skipped]
        write_csv(out / SKIPPED, pd.DataFrame(rows, columns=list(PROBLEM_COLUMNS)))
    else:
        (out / SKIPPED).unlink(missing_ok=True)
    show_build(build, out, as_json)


def show_build(build: Build, out: Path, as_json: bool) -> None:
    """Print what a manifest holds, and on stderr the films left out."""
    counts = {**manifest_counts(build.manifest), "skipped": len(build.skipped)}
    if as_json:
        skipped = [problem_json(problem) for problem in build.skipped]
        content = {"folder": str(out), "counts": counts, "skipped": skipped}
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    _print_counts(counts)
    for problem in build.skipped[:MAX_PROBLEMS_SHOWN]:
        typer.echo(f"  left out: {problem}", err=True)
    if len(build.skipped) > MAX_PROBLEMS_SHOWN:
        typer.echo(f"  all {len(build.skipped)} are in {out / SKIPPED}", err=True)
    typer.echo(f"wrote {out}", err=True)


def refuse_other_split(manifest: Manifest, out: Path) -> None:
    """Refuse to overwrite a manifest in `out` where films have another split.

    Raises:
        ConfigError: films of `out` would change from one split to another, or lose it.
    """
    if not any((out / f"images.{ending}").is_file() for ending in ("csv", "parquet")):
        return
    without = {"images": ("view", "source", "sha256")}
    old = read_manifest(out, tables=("images",), without=without).images[["image_id", "split"]]
    old = old[old["split"] != ""]
    if old.empty:
        return
    place = Lookup(manifest.images["image_id"]).places(old["image_id"])
    new = manifest.images["split"].iloc[place].where(place >= 0, "")
    if changed := int((old["split"].array != new.array).sum()):
        raise ConfigError(
            f"{out}: expected films without a split, or the same one, got {changed} of {len(old)} "
            "films with another; give --keep-existing, another --out, or --replace-split"
        )


@dataclass(frozen=True)
class NewSplit:
    """A split of films to be written, what the manifest is, and counts by split."""

    split: pd.Series
    info: ManifestInfo
    counts: Mapping[str, Mapping[str, int]]


def new_split(manifest: Manifest, folder: Path, out: Path) -> NewSplit:
    """The split of a manifest that was read from `folder`, to be written into `out`."""
    info = manifest.info
    if out.resolve() != folder.resolve() and not os.path.isabs(info.image_root):
        # A relative image root is relative to the manifest's own folder, which changes here.
        info = replace(info, image_root=str(manifest.root.resolve()))
    return NewSplit(manifest.images["split"], info, _split_counts(manifest))


def save_split(new: NewSplit, folder: Path, out: Path, as_json: bool) -> None:
    """Write the manifest of `folder` with another split into `out`, and print counts."""
    write_with_split(folder, new.split, new.info, out)
    if as_json:
        typer.echo(json.dumps({"folder": str(out), "splits": new.counts}, indent=2))
        return
    for name, numbers in new.counts.items():
        described = ", ".join(f"{count:,} {what}" for what, count in numbers.items())
        typer.echo(f"{name:12} {described.replace('_', ' ')}")
    typer.echo(f"wrote {out}", err=True)


def _split_counts(manifest: Manifest) -> dict[str, dict[str, int]]:
    images = manifest.images
    patient = text_codes(images["patient_id"])
    is_boxed = np.zeros(len(images), np.bool_)
    is_boxed[Lookup(images["image_id"]).places(manifest.boxes["image_id"])] = True
    names = sorted(images["split"].unique())
    inside = {name: (images["split"] == name).to_numpy(bool) for name in names}
    return {
        str(name or "unassigned"): {
            "films": int(films.sum()),
            "patients": len(np.unique(patient[films])),
            "films_with_boxes": int((films & is_boxed).sum()),
            "patients_with_boxes": len(np.unique(patient[films & is_boxed])),
        }
        for name, films in inside.items()
    }


def problem_json(problem: Problem) -> Mapping[str, str | int | None]:
    """A problem as a JSON object: file, row, field, expected, got, fix."""
    return {name: asdict(problem)[name] for name in PROBLEM_COLUMNS}


def manifest_counts(manifest: Manifest) -> dict[str, int]:
    """Films, patients, studies, boxes, boxed films and reports of a manifest."""
    return {
        "films": len(manifest.images),
        "patients": int(manifest.images["patient_id"].nunique()),
        "studies": int(manifest.images["study_id"].nunique()),
        "boxes": len(manifest.boxes),
        "films_with_boxes": int(manifest.boxes["image_id"].nunique()),
        "reports": int(manifest.reports["study_id"].nunique()),
    }


def _print_counts(counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        typer.echo(f"{name.replace('_', ' '):18} {count:>10,}")
