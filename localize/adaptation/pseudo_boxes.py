"""`vote_box` and `with_pseudo_boxes`: a region with its neighbours becomes a pseudo-label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_manifests.boxes import iou_matrix
from data_manifests.support.arrays import Bools, Floats
from data_manifests.tables.columns import BOX_LABEL
from data_manifests.tables.manifest import Manifest, make_manifest
from detector.roi_store import RoiStore

ANNOTATOR = "report"
VOTING_IOU = 0.5


@dataclass(frozen=True)
class FilmRois:
    """The R regions of one film: `xyxy` (R, 4) film pixels, `scores` (R,), film size in pixels."""

    xyxy: Floats
    scores: Floats
    width: int
    height: int

    def subset(self, keep: Bools) -> FilmRois:
        """The regions where `keep` (R,) is true."""
        return FilmRois(self.xyxy[keep], self.scores[keep], self.width, self.height)


@dataclass(frozen=True)
class PseudoBox:
    """A pseudo-label: `xyxy` (4,) film pixels inside the film."""

    image_id: str
    xyxy: Floats


def read_film_rois(store: RoiStore, row: int) -> FilmRois:
    """The regions of one film of a ROI store."""
    batch = store.read(np.array([row]))
    mask = batch.mask[0]
    width, height = batch.sizes[0].tolist()
    return FilmRois(
        xyxy=batch.boxes[0][mask].astype(np.float64),
        scores=batch.scores[0][mask].astype(np.float64),
        width=int(width),
        height=int(height),
    )


def vote_box(rois: FilmRois, weights: Floats, chosen: int) -> Floats:
    """The weighted mean (4,) of the regions that overlap region `chosen` with IoU .5 or more.

    Each counts by its weight (R,) times its IoU (box voting, Gidaris and Komodakis 2015): many
    regions locate the edges of an opacity better than one. Corners that rounding puts beyond the
    film are clipped.
    """
    overlap = iou_matrix(rois.xyxy[[chosen]], rois.xyxy)[0]
    votes = np.where(overlap >= VOTING_IOU, weights * overlap, 0.0)
    voted = votes @ rois.xyxy / votes.sum() if votes.any() else rois.xyxy[chosen]
    inside: Floats = np.clip(voted, 0.0, (rois.width, rois.height, rois.width, rois.height))
    return inside


def with_pseudo_boxes(films: Manifest, boxes: Sequence[PseudoBox]) -> Manifest:
    """The same films with `boxes` (annotator `report`) in the place of their own."""
    corners = np.array([box.xyxy for box in boxes], np.float64).reshape(-1, 4)
    table = pd.DataFrame(corners, columns=["x1", "y1", "x2", "y2"])
    table.insert(0, "image_id", [box.image_id for box in boxes])
    table = table.assign(label=BOX_LABEL, annotator=ANNOTATOR)
    return make_manifest(
        films.images, table, films.reports, films.labels, info=films.info, root=films.root
    )
