"""`propose_rois`: the N best and the N lowest-ranking anchors of a film, with their features.

The path follows torchvision's own `RetinaNet.forward` step by step, but keeps the anchor index that
`postprocess_detections` drops, so that each box can be traced to the cell it came from; with the
same thresholds, boxes and scores are bit-identical to the model's detections.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from data_manifests.support.errors import ConfigError
from detector.feature_kind import FeatureKind
from detector.network.core import Core, run_detector
from detector.network.torchvision_parts import RetinaNet, clip_boxes_to_image, nms, roi_align

MIN_SIDE_PX = 1.0  # thinner boxes, cut to nothing at the film's border, are no regions
# More of the lowest anchors than `count`, since many lie outside the film and are cut away.
LOWEST_FACTOR = 8
LOOKED_AT_FACTOR = 4  # of `count`, and as many times more where that is not enough
P3_STRIDE = 8  # each further level doubles it


@dataclass(frozen=True)
class ProposalOptions:
    """How regions are chosen.

    `count` is the paper's N; `nms_iou` is where two regions are one (light: .7); `candidates` per
    pyramid level before that; `feature` is where the features come from.
    """

    count: int = 100
    nms_iou: float = 0.7
    candidates: int = 1000
    feature: FeatureKind = FeatureKind.TOWER

    def __post_init__(self) -> None:
        for name in ("count", "candidates"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not 0 <= self.nms_iou <= 1:
            raise ConfigError(f"nms_iou: expected 0 to 1, got {self.nms_iou}")
        if self.feature not in tuple(FeatureKind):
            raise ConfigError(
                f"feature: expected one of {', '.join(FeatureKind)}, got {self.feature}"
            )


@dataclass(frozen=True)
class Rois:
    """Regions of one film, best (or lowest) score first.

    `features` (R, D) float32; `boxes` (R, 4) float32 in the model's frame; `scores` (R,) in [0, 1].
    """

    features: Tensor
    boxes: Tensor
    scores: Tensor


@dataclass(frozen=True)
class FilmRois:
    """Best and lowest-ranking regions of one film, both at most `count`."""

    best: Rois
    lowest: Rois


@torch.inference_mode()
def propose_rois(
    model: RetinaNet, images: list[Tensor], options: ProposalOptions, core: Core | None = None
) -> list[FilmRois]:
    """Regions of a batch of prepared films, each float (3, H, W) in [0, 1].

    The model must be in evaluation mode; results do not depend on the other films of the batch as
    long as all have one size. `core` runs the convolutions, by default the model as it is.
    """
    return [
        FilmRois(_best(model, maps, options), _lowest(model, maps, options))
        for maps in _maps_of_films(model, images, core)
    ]


@torch.inference_mode()
def best_rois(
    model: RetinaNet, images: list[Tensor], options: ProposalOptions, core: Core | None = None
) -> list[Rois]:
    """The best regions of `propose_rois` alone, which is all that prediction needs."""
    return [_best(model, maps, options) for maps in _maps_of_films(model, images, core)]


@dataclass(frozen=True)
class _FilmMaps:
    """One film's outputs by pyramid level: `scores` (A,) in [0, 1], `deltas` and `anchors` (A, 4),
    `pyramid` and `towers` (C, H, W); `size` is the film's (height, width)."""

    scores: list[Tensor]
    deltas: list[Tensor]
    anchors: list[Tensor]
    pyramid: list[Tensor]
    towers: list[Tensor]
    size: tuple[int, int]


def _maps_of_films(
    model: RetinaNet, images: list[Tensor], core: Core | None
) -> Iterator[_FilmMaps]:
    image_list, _ = model.transform(images)
    pixels = image_list.tensors
    maps = run_detector(model, pixels) if core is None else core(pixels)
    scores = [_per_anchor(level, 1).sigmoid() for level in maps.logits]
    deltas = [_per_anchor(level, 4) for level in maps.deltas]
    anchors = model.anchor_generator(image_list, list(maps.pyramid))
    per_level = [level.shape[1] for level in scores]
    for k, size in enumerate(image_list.image_sizes):
        yield _FilmMaps(
            scores=[level[k, :, 0] for level in scores],
            deltas=[level[k] for level in deltas],
            anchors=list(anchors[k].split(per_level)),
            pyramid=[level[k] for level in maps.pyramid],
            towers=[tower[k] for tower in maps.towers],
            size=size,
        )


def _per_anchor(maps: Tensor, width: int) -> Tensor:
    """(B, A*width, H, Wd) to (B, H*Wd*A, width), torchvision's order of anchors."""
    batch, _, height, wide = maps.shape
    return (
        maps.reshape(batch, -1, width, height, wide)
        .permute(0, 3, 4, 1, 2)
        .reshape(batch, -1, width)
    )


def _best(model: RetinaNet, maps: _FilmMaps, options: ProposalOptions) -> Rois:
    chosen, boxes, levels = [], [], []
    for number, (level_scores, level_deltas, level_anchors) in enumerate(
        zip(maps.scores, maps.deltas, maps.anchors, strict=True)
    ):
        index = level_scores.topk(min(options.candidates, len(level_scores))).indices
        decoded = model.box_coder.decode_single(level_deltas[index], level_anchors[index])
        boxes.append(clip_boxes_to_image(decoded, maps.size))
        chosen.append(index)
        levels.append(torch.full_like(index, number))
    best = _Candidates(
        boxes=torch.cat(boxes),
        scores=torch.cat([level[index] for level, index in zip(maps.scores, chosen, strict=True)]),
        levels=torch.cat(levels),
        anchors=torch.cat(chosen),
    )
    best = best.take(_has_area(best.boxes))
    keep = first_kept(best.boxes, best.scores, options.nms_iou, options.count)
    return _with_features(best.take(keep), maps, _per_cell(model), options.feature)


def first_kept(boxes: Tensor, scores: Tensor, iou: float, count: int) -> Tensor:
    """The first `count` indices of `nms(boxes, scores, iou)`.

    What suppression keeps depends on higher scores only, and its work grows with the square of the
    boxes: the best few usually hold enough.
    """
    order = scores.argsort(descending=True, stable=True)
    looked_at = LOOKED_AT_FACTOR * count
    while True:
        first = order[:looked_at]
        keep = nms(boxes[first], scores[first], iou)[:count]
        if len(keep) == count or len(first) == len(order):
            return first[keep]
        looked_at *= LOOKED_AT_FACTOR


def _per_cell(model: RetinaNet) -> int:
    return int(model.anchor_generator.num_anchors_per_location()[0])


@dataclass(frozen=True)
class _Candidates:
    """Decoded anchors: boxes (K, 4), scores, pyramid level and index in the level, (K,) each."""

    boxes: Tensor
    scores: Tensor
    levels: Tensor
    anchors: Tensor

    def take(self, index: Tensor) -> _Candidates:
        return _Candidates(
            self.boxes[index], self.scores[index], self.levels[index], self.anchors[index]
        )


def _has_area(boxes: Tensor) -> Tensor:
    sides = boxes[:, 2:] - boxes[:, :2]
    return (sides >= MIN_SIDE_PX).all(dim=1)


def _lowest(model: RetinaNet, maps: _FilmMaps, options: ProposalOptions) -> Rois:
    """The lowest-scoring anchors of all levels that have an area, lowest first (paper 3.4)."""
    count = options.count
    counts = torch.tensor([len(level) for level in maps.scores], device=maps.scores[0].device)
    first = counts.cumsum(0) - counts
    scores, deltas, anchors = (
        torch.cat(levels) for levels in (maps.scores, maps.deltas, maps.anchors)
    )
    asked = min(LOWEST_FACTOR * count, len(scores))
    while True:
        index = scores.topk(asked, largest=False).indices
        boxes = clip_boxes_to_image(
            model.box_coder.decode_single(deltas[index], anchors[index]), maps.size
        )
        levels = torch.bucketize(index, first, right=True) - 1
        found = _Candidates(boxes, scores[index], levels, index - first[levels])
        keep = torch.nonzero(_has_area(found.boxes)).flatten()[:count]
        if len(keep) == count or asked == len(scores):
            return _with_features(found.take(keep), maps, _per_cell(model), options.feature)
        asked = len(scores)


def _with_features(found: _Candidates, maps: _FilmMaps, per_cell: int, kind: FeatureKind) -> Rois:
    source = maps.towers if kind == FeatureKind.TOWER else maps.pyramid
    features = source[0].new_zeros((len(found.scores), source[0].shape[0]))
    for number, level in enumerate(source):
        here = torch.nonzero(found.levels == number).flatten()
        if not len(here):
            continue
        if kind == FeatureKind.TOWER:
            # Anchors are ordered (row, column, anchor of the cell).
            cell = found.anchors[here] // per_cell
            features[here] = level.flatten(1)[:, cell].T
        else:
            pooled = roi_align(
                level[None],
                [found.boxes[here]],
                7,
                # The true stride. Map widths do not give it: they are rounded up.
                1 / (P3_STRIDE << number),
                sampling_ratio=2,
                aligned=True,
            )
            features[here] = pooled.mean(dim=(2, 3))
    return Rois(features.float(), found.boxes.float(), found.scores.float())
