"""A tiny folder of open films, of phantom films under the names that `open_manifests` expects."""

from __future__ import annotations

import csv
import shutil
from importlib import resources
from pathlib import Path

import numpy as np

from data_manifests.phantom.case import PhantomOptions
from data_manifests.phantom.generate import SplitShares, build_phantom
from experiments.data.open_films import MORE_SCORES

PX = 64
NOTES = (
    "Chest x-ray: patchy opacity in the right lower lung.",
    "Bilateral hazy opacities, left more than right.",
    "Lungs clear. No opacity.",
)
COUNTS = {"train": 40, "val": 12, "test": 12}  # the film guard needs 80 training films


def write_open_data(folder: Path) -> Path:
    """Write the three folders of films."""
    _write_rsna(folder / "rsna_nih_fullframe", _fixed_ids(), seed=0)
    masked = {f"masked-{k}": f"masked-patient-{k}" for k in range(8)}
    _write_rsna(folder / "rsna_lungmasked", masked, seed=1, mask_coverage=0.9)
    _write_covid(folder / "covid_chestxray", films=90, seed=2)
    return folder


def _fixed_ids() -> dict[str, str]:
    """Film and patient ids of the full frames' published split."""
    table = resources.files("experiments.presets") / "open_fullframe_split.csv"
    rows = list(csv.DictReader(table.read_text("utf-8").splitlines()))
    chosen = [
        row["image_id"]
        for split, count in COUNTS.items()
        for row in [row for row in rows if row["split"] == split][:count]
    ]
    return {image_id: image_id.partition("_")[0] for image_id in chosen}


def _films(folder: Path, names: list[str], seed: int):
    """Phantom films copied to `folder/images/NAME.png`, and their boxes by name."""
    options = PhantomOptions(size=PX, prevalence=0.6, seed=seed)
    drawn = folder.parent / f".{folder.name}"
    phantom = build_phantom(drawn, options, films=len(names), shares=SplitShares(val=0, test=0))
    (folder / "images").mkdir(parents=True)
    boxes = {}
    for name, path, image_id in zip(
        names, phantom.film_paths(), phantom.images["image_id"], strict=True
    ):
        shutil.copy(path, folder / "images" / f"{name}.png")
        boxes[name] = phantom.boxes_of(image_id).xyxy.tolist()
    shutil.rmtree(drawn)
    return boxes


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def _box_rows(boxes, **columns) -> list[dict[str, object]]:
    return [
        {"image": f"images/{name}.png", **dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))}
        | columns
        for name, found in boxes.items()
        for box in found
    ]


def _write_rsna(folder: Path, patients: dict[str, str], *, seed: int, **box_columns) -> None:
    boxes = _films(folder, list(patients), seed)
    rows = [
        {
            "image": f"images/{name}.png",
            "patient_id": patient,
            "view": ("AP", "PA")[k % 2],
            "width": PX,
            "height": PX,
            "rsna_class": "Lung Opacity" if boxes[name] else "Normal",
            "nih_labels": "",
            "sex": ("F", "M")[k % 2],
            "age": 20 + k,
        }
        for k, (name, patient) in enumerate(patients.items())
    ]
    _write(folder / "metadata.csv", rows)
    _write(folder / "boxes.csv", _box_rows(boxes, source="RSNA", **box_columns))


def _write_covid(folder: Path, *, films: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    names = [f"covid-{k}" for k in range(films)]
    boxes = _films(folder, names, seed)
    rows = []
    for k, name in enumerate(names):
        score = len(boxes[name]) * 2 + random.random()
        rows.append(
            {
                "image": f"images/{name}.png",
                "patient_id": f"covid-patient-{k // 2}",
                "view": "PA",
                "width": PX,
                "height": PX,
                "clinical_notes": NOTES[k % 3],
                "severity_geographic_mean": round(score, 2),
                **dict.fromkeys(MORE_SCORES, round(score, 2)),
                "offset_days": k % 2,
                "sex": "M",
                "age": 50,
            }
        )
    _write(folder / "metadata.csv", rows)
    # Opacity boxes of the first films only: the patients of the others give film-note pairs.
    boxed = {name: boxes[name] for name in names[: films // 3]}
    _write(folder / "boxes.csv", _box_rows(boxed, kind="per_lung_opacity"))
