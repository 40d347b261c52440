"""Manifests in memory that take only what a test is about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from data_manifests.tables.manifest import Manifest, make_manifest
from tests.data_manifests.film_files import write_png


def images_table(
    count: int = 4,
    films_per_patient: int = 1,
    splits: Sequence[str] = (),
    width: int = 48,
    height: int = 32,
) -> pd.DataFrame:
    """`count` films f0, f1, ... of patients p0, p1, ..., one study each patient."""
    patients = [index // films_per_patient for index in range(count)]
    return pd.DataFrame(
        {
            "image_id": [f"f{index}" for index in range(count)],
            "patient_id": [f"p{patient}" for patient in patients],
            "study_id": [f"s{patient}" for patient in patients],
            "path": [f"films/f{index}.png" for index in range(count)],
            "width": width,
            "height": height,
            "split": [splits[index % len(splits)] if splits else "" for index in range(count)],
        }
    )


def boxes_table(image_ids: Sequence[str] = ("f0",)) -> pd.DataFrame:
    """One box on each of these films."""
    return pd.DataFrame(
        {"image_id": list(image_ids), "x1": 4.5, "y1": 3.0, "x2": 20.0, "y2": 30.25}
    )


def small_manifest(count: int = 4, **options: object) -> Manifest:
    """A valid manifest; every second film has a box."""
    images = images_table(count, **options)  # type: ignore[arg-type] # passed on by name
    return make_manifest(images, boxes_table(images["image_id"].iloc[::2].to_list()))


def write_films(root: Path, images: pd.DataFrame) -> None:
    """A PNG for each row, each different."""
    from tests.data_manifests.film_files import ramp

    for index, path in enumerate(images["path"]):
        levels = ramp()
        levels[0, 0] = index + 1
        levels[0, 1] = (index * 7) % 251
        write_png(root / path, levels)
