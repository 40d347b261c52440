"""`pseudo_label_quality`: how many pseudo-label boxes of each source overlap a true box.

The phantom's true boxes of hospital B are known; only the oracle sources train on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_manifests.boxes import iou_matrix
from data_manifests.tables.manifest import Manifest
from detector.roi_store import RoiStore
from experiments.methods.inputs import ExperimentInput
from localize.adaptation.adapt_detector import Source, label_films, training_and_validation

THRESHOLDS = (0.25, 0.5, 0.75)
SOURCES: tuple[Source, ...] = ("words", "sides", "finding", "own", "regions")


@dataclass(frozen=True)
class PseudoLabelQuality:
    """Number of boxes that a source chooses on the training films, and the `shares` of them that
    overlap a true box of their film by THRESHOLDS."""

    source: Source
    boxes: int
    shares: tuple[float, ...]


def pseudo_label_quality(
    inputs: Sequence[ExperimentInput], sources: Sequence[Source] = SOURCES
) -> list[PseudoLabelQuality]:
    """The quality of each source on the training films of all inputs together."""
    rows = []
    for source in sources:
        overlaps = np.concatenate([_overlaps(source, one) for one in inputs])
        shares = tuple(float((overlaps >= threshold).mean()) for threshold in THRESHOLDS)
        rows.append(PseudoLabelQuality(source, len(overlaps), shares))
    return rows


def _overlaps(source: Source, inputs: ExperimentInput) -> np.ndarray:
    parts = inputs.parts
    films = training_and_validation(parts.pairs)
    with RoiStore(parts.rois) as store:
        found = label_films(source, films, store, parts.attributes, boxed=inputs.boxed)
    labelled = found.split("train")
    return best_overlaps(labelled, films)


def best_overlaps(chosen: Manifest, truth: Manifest) -> np.ndarray:
    """(N,) the highest IoU of each box of `chosen` with a box of `truth` on its film; else 0."""
    true = truth.boxes_by_image()
    corners = chosen.boxes[["x1", "y1", "x2", "y2"]].to_numpy(np.float64)
    return np.array(
        [
            iou_matrix(box[None], true[image_id]).max() if image_id in true else 0.0
            for image_id, box in zip(chosen.boxes["image_id"], corners, strict=True)
        ]
    )
