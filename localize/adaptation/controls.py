"""Pseudo-labels without text, to compare with: `label_by_score` and `label_by_oracle`."""

from __future__ import annotations

import numpy as np

from data_manifests.boxes import iou_matrix
from data_manifests.tables.manifest import Manifest
from detector.roi_store import RoiStore
from localize.adaptation.pseudo_boxes import PseudoBox, read_film_rois, vote_box, with_pseudo_boxes


def label_by_score(films: Manifest, store: RoiStore, *, positive_share: float) -> Manifest:
    """Self-training: the best region of each of the `positive_share` of films that score highest.

    Raises:
        DataError: a film that is not in the store.
    """
    ids = films.images["image_id"].tolist()
    regions = [read_film_rois(store, row) for row in store.rows_of(ids)]
    best = np.array([rois.scores.max(initial=0.0) for rois in regions])
    threshold = np.quantile(best, 1 - positive_share)
    boxes = [
        PseudoBox(image_id, vote_box(rois, rois.scores, int(rois.scores.argmax())))
        for image_id, rois, score in zip(ids, regions, best, strict=True)
        if score >= threshold and score > 0
    ]
    return with_pseudo_boxes(films, boxes)


def label_by_oracle(films: Manifest, store: RoiStore) -> Manifest:
    """For each true box the region with the highest IoU, its corners voted: the upper bound of what
    choosing regions can reach. True boxes that no region touches are lost.

    Raises:
        DataError: a film that is not in the store.
    """
    ids = films.images["image_id"].tolist()
    true_boxes = films.boxes_by_image()
    boxes = []
    for image_id, row in zip(ids, store.rows_of(ids), strict=True):
        rois = read_film_rois(store, row)
        overlaps = iou_matrix(true_boxes.get(image_id, np.zeros((0, 4))), rois.xyxy)
        boxes += [
            PseudoBox(image_id, vote_box(rois, rois.scores, int(overlap.argmax())))
            for overlap in overlaps
            if overlap.any()
        ]
    return with_pseudo_boxes(films, boxes)
