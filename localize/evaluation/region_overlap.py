"""IoU of a predicted box with the region that a film's true boxes cover together."""

from __future__ import annotations

import numpy as np

from data_manifests.support.arrays import Floats
from localize.evaluation.film_boxes import FilmBoxes

# Cells of one batch of coordinate grids; about 20 MB.
MAX_CELLS = 2_000_000
CORNER_CELLS = 16  # what a box costs beside its grid


def union_iou(boxes: FilmBoxes) -> Floats:
    """IoU of each prediction with the union of its film's true boxes; (P,), 0 without any.

    Exact: the edges of the true boxes cut the film into a grid, each cell is covered or not.
    Films with equally many true boxes are computed together.
    """
    counts = boxes.true_counts()
    starts = np.cumsum(counts) - counts
    iou = np.zeros(len(boxes.pred_xyxy))
    counts_of_pred = counts[boxes.pred_film]
    for count in np.unique(counts_of_pred[counts_of_pred > 0]):
        rows = np.flatnonzero(counts_of_pred == count)
        batch = max(1, int(MAX_CELLS // (count * (2 * count - 1) ** 2 + CORNER_CELLS)))
        for part in np.array_split(rows, -(-len(rows) // batch)):
            first = starts[boxes.pred_film[part]]
            true = boxes.true_xyxy[first[:, None] + np.arange(count)]
            iou[part] = _region_iou(boxes.pred_xyxy[part], true)
    return iou


def _region_iou(pred: Floats, true: Floats) -> Floats:
    """IoU of (B, 4) boxes with the unions of (B, K, 4) boxes; (B,)."""
    x = np.sort(true[:, :, [0, 2]].reshape(len(true), -1), axis=1)
    y = np.sort(true[:, :, [1, 3]].reshape(len(true), -1), axis=1)
    mid_x, mid_y = (x[:, 1:] + x[:, :-1]) / 2, (y[:, 1:] + y[:, :-1]) / 2
    in_x = (true[:, :, 0, None] <= mid_x[:, None]) & (mid_x[:, None] <= true[:, :, 2, None])
    in_y = (true[:, :, 1, None] <= mid_y[:, None]) & (mid_y[:, None] <= true[:, :, 3, None])
    covered = (in_x[:, :, :, None] & in_y[:, :, None, :]).any(axis=1).astype(np.float64)
    region = np.einsum("bxy,bx,by->b", covered, np.diff(x), np.diff(y))
    inside_x = _lengths_inside(x, pred[:, 0, None], pred[:, 2, None])
    inside_y = _lengths_inside(y, pred[:, 1, None], pred[:, 3, None])
    intersection = np.einsum("bxy,bx,by->b", covered, inside_x, inside_y)
    area = (pred[:, 2] - pred[:, 0]) * (pred[:, 3] - pred[:, 1])
    iou: Floats = intersection / (area + region - intersection)
    return iou


def _lengths_inside(edges: Floats, low: Floats, high: Floats) -> Floats:
    """Length of each interval between `edges` (B, E) that lies in [low, high]; (B, E - 1)."""
    inside: Floats = np.clip(
        np.minimum(edges[:, 1:], high) - np.maximum(edges[:, :-1], low), 0, None
    )
    return inside
