"""`fuse_boxes`: the boxes of several detectors on one film, joined by weighted box fusion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torchvision.ops import nms

from data_manifests.boxes import iou_matrix
from experiments.tables.box_scores import Detections

SAME_BOX = 0.55  # IoU from which boxes of two detectors are one, as in the paper
NMS_IOU = 0.5  # as the detectors' own


def fuse_boxes(found: Sequence[Detections]) -> Detections:
    """One film's boxes, best first, from those of D detectors.

    From the best box on, each takes the most overlapping free box of every other detector that
    overlaps it by more than SAME_BOX. Their mean, weighted by score, is the fused box; its score is
    their sum over D, so a box that one detector alone finds loses (Solovyev et al. 2021, weighted
    boxes fusion). Fused boxes that overlap are suppressed.
    """
    boxes = np.concatenate([one.boxes for one in found])
    scores = np.concatenate([one.scores for one in found])
    detector = np.repeat(np.arange(len(found)), [len(one.scores) for one in found])
    overlap, is_free = iou_matrix(boxes, boxes), np.ones(len(boxes), bool)
    fused_boxes, fused_scores = [], []
    for best in np.argsort(-scores, kind="stable"):
        if not is_free[best]:
            continue
        group = [best]
        for other in np.setdiff1d(np.arange(len(found)), detector[best]):
            may = np.flatnonzero(is_free & (detector == other) & (overlap[best] > SAME_BOX))
            if len(may):
                group.append(may[np.argmax(overlap[best, may])])
        is_free[group] = False
        fused_boxes.append(np.average(boxes[group], axis=0, weights=scores[group]))
        fused_scores.append(scores[group].sum() / len(found))
    if not fused_boxes:
        return Detections(np.zeros((0, 4)), np.zeros(0))
    box, score = np.array(fused_boxes), np.array(fused_scores)
    kept = nms(torch.from_numpy(box), torch.from_numpy(score), NMS_IOU).numpy()
    return Detections(box[kept], score[kept])
