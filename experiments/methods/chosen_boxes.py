"""`chosen_boxes`: how many of the boxes that each source of an adaptation chooses are right.

The phantom knows the true boxes of hospital B, which no adaptation but `regions` and `truth` reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_manifests.boxes import iou_matrix
from data_manifests.tables.manifest import Manifest
from detector.roi_store import RoiStore
from experiments.core.road import Road
from localize.adaptation.adapt_detector import Source, label_films, training_and_validation

THRESHOLDS = (0.25, 0.5, 0.75)
SOURCES: tuple[Source, ...] = ("words", "sides", "finding", "own", "regions")


@dataclass(frozen=True)
class ChosenBoxes:
    """`boxes` chosen on the training films by a source; `shares` of them overlap a true box of
    their film by THRESHOLDS."""

    source: Source
    boxes: int
    shares: tuple[float, ...]


def chosen_boxes(roads: Sequence[Road]) -> list[ChosenBoxes]:
    """What each source chooses on the training films of all roads together."""
    rows = []
    for source in SOURCES:
        overlaps = np.concatenate([_overlaps(source, road) for road in roads])
        shares = tuple(float((overlaps >= threshold).mean()) for threshold in THRESHOLDS)
        rows.append(ChosenBoxes(source, len(overlaps), shares))
    return rows


def _overlaps(source: Source, road: Road) -> np.ndarray:
    """The best IoU of each chosen box with the true boxes of its film; 0 where there is none."""
    parts = road.parts
    learned = training_and_validation(parts.pairs)
    with RoiStore(parts.rois) as store:
        films = label_films(source, learned, store, parts.attributes).split("train")
    return best_overlaps(films, learned)


def best_overlaps(chosen: Manifest, truth: Manifest) -> np.ndarray:
    """(N,) the best IoU of each box of `chosen`, in order, with the boxes of `truth`."""
    true = truth.boxes_by_image()
    corners = chosen.boxes[["x1", "y1", "x2", "y2"]].to_numpy(np.float64)
    return np.array(
        [
            iou_matrix(box[None], true[image_id]).max() if image_id in true else 0.0
            for image_id, box in zip(chosen.boxes["image_id"], corners, strict=True)
        ]
    )
