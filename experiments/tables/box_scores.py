"""`box_scores`: how well a detector finds boxes and films, each test group apart.

IoU@T with as many boxes as a film truly has, AP@T, and the film AUC of the best box's score. These
are the detector's own boxes: no localizer ranks them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from data_manifests.support.arrays import Floats
from data_manifests.support.progress_bar import progress_bar
from data_manifests.tables.manifest import Manifest
from detector.dataset import FilmDataset, FilmKey
from detector.detector import Detector
from detector.network.core import torch_core
from detector.proposals import ProposalOptions, best_rois
from detector.run.device import has_bfloat16
from experiments.data.box_films import TEST_GROUPS
from localize.evaluation.average_precision import coco_average_precision
from localize.evaluation.film_boxes import make_film_boxes
from localize.evaluation.top_k_recall import box_recall_measure

THRESHOLDS = np.array([0.25, 0.5, 0.75])
GroupScores = Mapping[str, float | int | None]


@dataclass(frozen=True)
class Detections:
    """The boxes of one film in shares of its size, (N, 4), and their `scores` (N,)."""

    boxes: Floats
    scores: Floats


def box_scores(detector: Detector, films: Manifest, device: torch.device) -> dict[str, GroupScores]:
    """Scores by group of `TEST_GROUPS`; a score that a group cannot have is None."""
    return grouped_scores(find_boxes(detector, films, device), films)


@torch.inference_mode()
def find_boxes(detector: Detector, films: Manifest, device: torch.device) -> list[Detections]:
    """The detector's own detections on all films, in their order (see `best_rois`)."""
    model = detector.model.to(device)
    core = torch_core(model, "bfloat16" if has_bfloat16(device) else "float32")
    options = ProposalOptions(count=model.detections_per_img, nms_iou=model.nms_thresh)
    dataset = FilmDataset(films, image_size=detector.config.image_size, seed=None)
    found = []
    for row in progress_bar(range(len(dataset)), desc="detect", unit="film"):
        image = dataset[FilmKey(row, 0, row)].image
        one = best_rois(model, [image.to(device)], options, core)[0]
        height, width = image.shape[1:]
        boxes = one.boxes.cpu().numpy().astype(np.float64) / [width, height, width, height]
        found.append(Detections(boxes, one.scores.cpu().numpy().astype(np.float64)))
    return found


def grouped_scores(found: Sequence[Detections], films: Manifest) -> dict[str, GroupScores]:
    """Scores of given boxes by group; one `Detections` for each film."""
    scores = {}
    for group, sources in TEST_GROUPS.items():
        is_in = films.images["source"].isin(sources).to_numpy()
        if is_in.any():
            own = [one for one, kept in zip(found, is_in, strict=True) if kept]
            scores[group] = _group_scores(own, films.subset(films.images["source"].isin(sources)))
    return scores


def _group_scores(found: Sequence[Detections], films: Manifest) -> GroupScores:
    """With all negatives, and the AUC against normal films alone beside it."""
    label = films.labels.set_index("image_id").loc[films.images["image_id"]]
    opacity = label["opacity"].to_numpy(np.float64)
    is_normal = label["normal"].to_numpy(np.float64) == 1
    best = np.array([one.scores.max(initial=0.0) for one in found], np.float64)
    rows = {image_id: row for row, image_id in enumerate(films.images["image_id"])}
    sizes = films.images[["width", "height"]].to_numpy(np.float64)
    true_film = films.boxes["image_id"].map(rows).to_numpy(np.int64)
    true = films.boxes[["x1", "y1", "x2", "y2"]].to_numpy(np.float64)
    order = np.argsort(true_film, kind="stable")
    boxes = make_film_boxes(
        np.concatenate(
            [one.boxes * np.tile(size, 2) for one, size in zip(found, sizes, strict=True)]
        ),
        np.concatenate([one.scores for one in found]),
        np.repeat(np.arange(len(found)), [len(one.scores) for one in found]),
        true[order],
        true_film[order],
        films=len(found),
    )
    counts = boxes.true_counts()
    shown = is_normal | (opacity == 1)
    scores: dict[str, float | int | None] = {
        "films": len(found),
        "boxed_films": int((counts > 0).sum()),
        "boxes": int(counts.sum()),
        "film_auc": _auc(opacity, best),
        "film_auc_normal": _auc(opacity[shown], best[shown]),
    }
    if counts.sum():
        one = np.ones((1, boxes.films))
        recall = box_recall_measure("", boxes.first(counts), THRESHOLDS).values(one)[0]
        precision = coco_average_precision(boxes, THRESHOLDS)
        for name, values in (("iou", recall), ("ap", precision)):
            for threshold, value in zip(THRESHOLDS, values, strict=True):
                scores[f"{name}_{round(100 * threshold)}"] = round(float(value), 4)
    return scores


def _auc(label: Floats, score: Floats) -> float | None:
    if len(np.unique(label)) < 2:
        return None
    return round(float(roc_auc_score(label, score)), 4)
