"""`write_box_detectors`: which detector finds what on validation films, each source apart."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from data_manifests.support.atomic import write_json, write_text
from data_manifests.tables.manifest import Manifest
from detector.run.provenance import manifest_sha256, provenance
from experiments.core.mixed_weights import mixed_detector
from experiments.tables.box_scores import Detections, GroupScores, find_boxes, grouped_scores

COLUMNS = {
    "rsna": ("iou_25", "iou_50", "ap_50", "film_auc_normal"),
    "siim": ("iou_25", "iou_50", "ap_50", "film_auc_normal"),
    "children": ("film_auc_normal",),
}
TITLES = {"iou_25": "IoU@.25", "iou_50": "IoU@.5", "ap_50": "AP@.5", "film_auc_normal": "film AUC"}
COMMAND = "pneumoloc experiment boxes compare --data DATA --out WORK --results docs/results"


@dataclass(frozen=True)
class Candidate:
    """A detector, its scores by group and its seconds a film (reading included)."""

    name: str
    scores: Mapping[str, GroupScores]
    seconds: float


def compare_detectors(
    candidates: Mapping[str, Mapping[Path, float]],
    films: Manifest,
    work: Path,
    device: torch.device,
) -> list[Candidate]:
    """Score detectors, each given as shares of weights (see `mixed_detector`), on `films`.

    Detections are cached in `work` under the checksums of the weights and the films.
    """
    found = []
    work.mkdir(parents=True, exist_ok=True)
    data = manifest_sha256(films)[:12]
    for name, parts in candidates.items():
        detector = mixed_detector(parts)
        cache = work / f"{detector.sha256[:12]}-{detector.config.image_size}-{data}.npz"
        if not cache.exists():
            started = time.perf_counter()
            boxes = find_boxes(detector, films, device)
            _write(boxes, (time.perf_counter() - started) / len(boxes), cache)
        with np.load(cache) as stored:
            ends = stored["counts"].cumsum()[:-1]
            boxes = [
                Detections(xyxy, scores)
                for xyxy, scores in zip(
                    np.split(stored["boxes"], ends), np.split(stored["scores"], ends), strict=True
                )
            ]
            seconds = float(stored["seconds"])
        found.append(Candidate(name, grouped_scores(boxes, films), seconds))
    return found


def write_box_detectors(found: list[Candidate], films: Manifest, results: Path) -> str:
    """Write `box-detectors.json` and `box-detectors.md` into `results`; returns the page."""
    counts = found[0].scores
    head = [f"{group}: {TITLES[key]}" for group, keys in COLUMNS.items() for key in keys]
    lines = [
        "# Detectors from all boxes, on validation films",
        "",
        f"```\n{COMMAND}\n```",
        "",
        "Validation patients only: the package's detector was chosen from this. The boxes are the "
        "detector's own, no localizer ranks them. IoU@T: share of true boxes found one-to-one by "
        "the film's k best boxes, k its number of true boxes. Film AUC: the best box's score, "
        "films with an opacity against normal ones.",
        "",
        "Films (boxed, boxes): "
        + "; ".join(
            f"{group} {one['films']} ({one['boxed_films']}, {one['boxes']})"
            for group, one in counts.items()
        )
        + ". `0.7 a + 0.3 b` is the mean of the weights of `a` and `b` with these shares.",
        "",
        "| detector | " + " | ".join(head) + " |",
        "|---" * (len(head) + 1) + "|",
    ]
    for one in found:
        cells = [
            _cell(one.scores[group].get(key)) for group, keys in COLUMNS.items() for key in keys
        ]
        lines.append(f"| {one.name} | " + " | ".join(cells) + " |")
    page = "\n".join(lines) + "\n"
    write_text(results / "box-detectors.md", page)
    write_json(
        results / "box-detectors.json",
        {
            "command": COMMAND,
            "provenance": {**provenance(), "data": manifest_sha256(films)},
            "detectors": [asdict(one) for one in found],
        },
    )
    return page


def _write(boxes: list[Detections], seconds: float, path: Path) -> None:
    np.savez(
        path,
        boxes=np.concatenate([one.boxes for one in boxes]),
        scores=np.concatenate([one.scores for one in boxes]),
        counts=np.array([len(one.scores) for one in boxes]),
        seconds=seconds,
    )


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}".lstrip("0")
