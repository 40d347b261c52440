"""`write_box_detectors`: which detector finds what on validation films, each source apart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from data_manifests.support.atomic import write_json, write_text
from data_manifests.tables.manifest import Manifest
from detector.run.provenance import manifest_sha256, provenance
from experiments.core.mixed_weights import mixed_detector
from experiments.tables.box_scores import Detections, GroupScores, find_boxes, grouped_scores
from experiments.tables.fused_boxes import fuse_boxes

COLUMNS = {
    "rsna": ("iou_25", "iou_50", "ap_50", "film_auc_normal"),
    "siim": ("iou_25", "iou_50", "ap_50", "film_auc_normal"),
    "children": ("film_auc_normal",),
}
TITLES = {"iou_25": "IoU@.25", "iou_50": "IoU@.5", "ap_50": "AP@.5", "film_auc_normal": "film AUC"}
COMMAND = (
    "pneumoloc experiment boxes compare --data DATA --out WORK --results docs/results \\\n"
    "    --gpu-results runs/gpu/results.json --candidate NAME:PATH=SHARE,PATH=SHARE ... \\\n"
    "    --fused NAME:CANDIDATE,CANDIDATE"
)


@dataclass(frozen=True)
class Candidate:
    """A detector and its scores by group."""

    name: str
    scores: Mapping[str, GroupScores]


def compare_detectors(
    candidates: Mapping[str, Mapping[Path, float]],
    films: Manifest,
    work: Path,
    device: torch.device,
    *,
    fused: Mapping[str, Sequence[str]],
) -> list[Candidate]:
    """Score detectors, each given as shares of weights (see `mixed_detector`), on `films`.

    `fused` names candidates whose boxes are joined on each film (see `fuse_boxes`). Detections are
    cached in `work` under the checksums of the weights and the films.
    """
    found: dict[str, list[Detections]] = {}
    work.mkdir(parents=True, exist_ok=True)
    data = manifest_sha256(films)[:12]
    for name, parts in candidates.items():
        detector = mixed_detector(parts)
        cache = work / f"{detector.sha256[:12]}-{detector.config.image_size}-{data}.npz"
        if not cache.exists():
            _write(find_boxes(detector, films, device), cache)
        with np.load(cache) as stored:
            ends = stored["counts"].cumsum()[:-1]
            found[name] = [
                Detections(xyxy, scores)
                for xyxy, scores in zip(
                    np.split(stored["boxes"], ends), np.split(stored["scores"], ends), strict=True
                )
            ]
    for name, members in fused.items():
        views = zip(*(found[member] for member in members), strict=True)
        found[name] = [fuse_boxes(film) for film in views]
    return [Candidate(name, grouped_scores(boxes, films)) for name, boxes in found.items()]


def write_box_detectors(
    found: list[Candidate], films: Manifest, results: Path, *, gpu_results: Path | None
) -> str:
    """Write `box-detectors.json` and `box-detectors.md` into `results`; returns the page.

    `gpu_results` is the `results.json` of `experiment boxes train`, shown as a second table.
    """
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
        + ". `0.7 a + 0.3 b` is the mean of the weights of `a` and `b` with these shares; `a & b` "
        "are two detectors, each film's boxes joined (weighted box fusion).",
        "",
        "| detector | " + " | ".join(head) + " |",
        "|---" * (len(head) + 1) + "|",
    ]
    lines += [_row(one.name, one.scores) for one in found]
    trained = {} if gpu_results is None else json.loads(gpu_results.read_text("utf-8"))
    if trained:
        lines += [
            "",
            "As `pneumoloc experiment boxes train` scored them, on films packed for the GPU "
            "(WebP, at most 512 px). Packed films are smoother, and RSNA boxes are found better on "
            "them. Patients that `open_lite0` was trained on are among them. The first row is the "
            "detector of `open_lite0`.",
            "",
            "| detector | " + " | ".join(head) + " |",
            "|---" * (len(head) + 1) + "|",
        ]
        lines += [_row(name, one["scores"]) for name, one in trained.items()]
    page = "\n".join(lines) + "\n"
    write_text(results / "box-detectors.md", page)
    write_json(
        results / "box-detectors.json",
        {
            "command": COMMAND,
            "provenance": {**provenance(), "data": manifest_sha256(films)},
            "detectors": [asdict(one) for one in found],
            "on_packed_films": {name: one["scores"] for name, one in trained.items()},
        },
    )
    return page


def _write(boxes: list[Detections], path: Path) -> None:
    np.savez(
        path,
        boxes=np.concatenate([one.boxes for one in boxes]),
        scores=np.concatenate([one.scores for one in boxes]),
        counts=np.array([len(one.scores) for one in boxes]),
    )


def _row(name: str, scores: Mapping[str, GroupScores]) -> str:
    cells = [_cell(scores[group].get(key)) for group, keys in COLUMNS.items() for key in keys]
    return f"| {name} | " + " | ".join(cells) + " |"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}".lstrip("0")
