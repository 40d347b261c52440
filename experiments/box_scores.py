"""`box_scores`: how well a detector finds boxes and films, each test group apart.

`python -m experiments.box_scores DETECTOR MANIFEST OUT.json` scores the validation films of a
`box_films` manifest: IoU@T with as many boxes as a film truly has, AP@T, and the film AUC of the
best box's score against films without opacity. The detector's own boxes, nothing fused.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torchvision.models.detection import RetinaNet

from data_manifests.atomic import write_json
from data_manifests.manifest import Manifest, read_manifest
from detector.dataset import FilmDataset, FilmKey
from detector.device import choose_device
from detector.model import load_detector
from experiments.box_films import TEST_GROUPS
from localize.metrics.average_precision import coco_average_precision
from localize.metrics.film_boxes import FilmBoxes, make_film_boxes
from localize.metrics.top_k_recall import box_recall_measure

THRESHOLDS = np.array([0.25, 0.5, 0.75])
BATCH = 16


@dataclass(frozen=True)
class Found:
    """Predicted and true boxes of all films of a manifest, and each film's best score."""

    boxes: FilmBoxes
    film_score: NDArray[np.float64]


def box_scores(folder: Path, manifest: Manifest, device: torch.device) -> dict[str, object]:
    """Scores by group; a score that a group cannot have is None."""
    model, config, _ = load_detector(folder)
    model.to(device)
    scores: dict[str, object] = {}
    for group, sources in TEST_GROUPS.items():
        films = manifest.subset(manifest.images["source"].isin(sources))
        if len(films.images):
            scores[group] = _group_scores(
                find_boxes(model, films, config.image_size, device), films
            )
    return scores


@torch.inference_mode()
def find_boxes(model: RetinaNet, films: Manifest, image_size: int, device: torch.device) -> Found:
    """The detector's boxes on all films, in the model's frame, as are the true ones."""
    dataset = FilmDataset(films, image_size=image_size, seed=None)
    xyxy, score, film, true, true_film = [], [], [], [], []
    for start in range(0, len(dataset), BATCH):
        rows = range(start, min(start + BATCH, len(dataset)))
        batch = [dataset[FilmKey(row, 0, row)] for row in rows]
        for row, one, given in zip(
            rows, model([each.image.to(device) for each in batch]), batch, strict=True
        ):
            xyxy.append(one["boxes"].cpu().numpy())
            score.append(one["scores"].cpu().numpy())
            film.append(np.full(len(score[-1]), row))
            true.append(given.boxes.numpy())
            true_film.append(np.full(len(true[-1]), row))
    boxes = make_film_boxes(
        np.concatenate(xyxy),
        np.concatenate(score),
        np.concatenate(film),
        np.concatenate(true),
        np.concatenate(true_film),
        films=len(dataset),
    )
    return Found(boxes, np.array([each.max(initial=0.0) for each in score], np.float64))


def _group_scores(found: Found, films: Manifest) -> dict[str, float | int | None]:
    """With all negatives, and the AUC against normal films alone beside it."""
    label = films.labels.set_index("image_id").loc[films.images["image_id"]]
    opacity = label["opacity"].to_numpy(np.float64)
    normal = label["normal"].to_numpy(np.float64) == 1
    counts = found.boxes.true_counts()
    scores: dict[str, float | int | None] = {
        "films": len(films.images),
        "boxed_films": int((counts > 0).sum()),
        "boxes": int(counts.sum()),
        "film_auc": _auc(opacity, found.film_score),
        "film_auc_normal": _auc(
            opacity[normal | (opacity == 1)], found.film_score[normal | (opacity == 1)]
        ),
    }
    if counts.sum():
        one = np.ones((1, found.boxes.films))
        recall = box_recall_measure("", found.boxes.first(counts), THRESHOLDS).values(one)[0]
        precision = coco_average_precision(found.boxes, THRESHOLDS)
        for name, values in (("iou", recall), ("ap", precision)):
            for threshold, value in zip(THRESHOLDS, values, strict=True):
                scores[f"{name}_{round(100 * threshold)}"] = round(float(value), 4)
    return scores


def _auc(label: NDArray[np.float64], score: NDArray[np.float64]) -> float | None:
    if len(np.unique(label)) < 2:
        return None
    return round(float(roc_auc_score(label, score)), 4)


if __name__ == "__main__":
    folder, manifest, out = (Path(argument) for argument in sys.argv[1:4])
    found = box_scores(folder, read_manifest(manifest).split("val"), choose_device("auto"))
    write_json(out, found)
    print(json.dumps(found))
