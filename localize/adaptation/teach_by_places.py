"""`teach_by_places`: the places in reports, with the old hospital's boxes, as targets for a gate.

Words say where an opacity lies and how large it is; what they mean is learned from the boxes of the
hospital that the detector comes from (`place_prior`). Each opacity of a report so gets a
pseudo-label box, as in `label_by_places`. A candidate's target is the share of the levels that its
IoU with such a box reaches.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from data_manifests.support.arrays import Floats, Floats32
from detector.film_maps import NO_REGION, FilmMaps
from localize.adaptation.label_by_places import ReportPlaces, place_boxes
from localize.adaptation.pseudo_boxes import FilmRois
from localize.adaptation.report_teacher import pairwise_iou, targets_of
from localize.training.train_gate import GateTargets

NO_BOX: Floats = np.zeros((0, 4))


def teach_by_places(films: FilmMaps, reports: ReportPlaces, levels: Sequence[float]) -> GateTargets:
    """Targets of all films whose report denies an opacity or places one on a side with candidates.

    `reports` are in the order of `films`.
    """
    boxes = [
        _boxes_of(films, row, reports) if one else NO_BOX
        for row, one in enumerate(reports.has_opacity)
    ]
    rows = [
        row
        for row, one in enumerate(reports.has_opacity)
        if one is False or (one and len(boxes[row]))
    ]
    kept = np.array(rows, np.int64)
    return targets_of(films, kept, box_values(films, boxes, levels)[kept])


def box_values(films: FilmMaps, boxes: Sequence[Floats], levels: Sequence[float]) -> Floats32:
    """Share of `levels` that each candidate's IoU with a box of its film reaches, (F, C).

    `boxes` has (G, 4) film pixels for each film.
    """
    values = np.zeros(films.logits.shape, np.float32)
    for row, own in enumerate(boxes):
        if len(own):
            overlap = best_overlap(films.boxes[row], own)
            values[row] = np.mean([overlap >= level for level in levels], axis=0)
    return values


def best_overlap(boxes: Floats | Floats32, others: Floats) -> Floats:
    """The highest IoU of each of boxes (C, 4) with `others` (G, 4), (C,)."""
    both = torch.from_numpy(np.concatenate([boxes, others]).astype(np.float64))[None]
    found: Floats = pairwise_iou(both)[0, : len(boxes), len(boxes) :].amax(dim=1).numpy()
    return found


def _boxes_of(films: FilmMaps, row: int, reports: ReportPlaces) -> Floats:
    """The pseudo-label boxes of one film, (G, 4)."""
    has_area = films.logits[row] > NO_REGION
    width, height = films.sizes[row].tolist()
    logits = films.logits[row][has_area].astype(np.float64)
    rois = FilmRois(
        films.boxes[row][has_area].astype(np.float64), 1 / (1 + np.exp(-logits)), width, height
    )
    found = place_boxes(rois, reports.places[row], reports.prior)
    return np.array(found).reshape(-1, 4)
