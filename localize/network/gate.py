"""`Gate`: from a film's frozen pyramid to how much each ROI counts; no text, no other film.

A copy of the detector's classification tower. It starts with the detector's weights, so an
untrained gate is the detector's score; training moves the copy, and the detector stays as it is.
Boxes are those of the detector.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.retinanet import RetinaNetClassificationHead

AUTOCAST = torch.bfloat16  # of convolutions in training; prediction computes in float32


@dataclass(frozen=True)
class GateMaps:
    """Outputs for B films: `logits` (B, A) of all anchors in torchvision's order (level, row,
    column, anchor of the cell) and `towers` (B, cells, D), the last convolution of the tower."""

    logits: Tensor
    towers: Tensor

    def at(self, anchors: Tensor) -> Tensor:
        """The logits (B, R) of anchors (B, R)."""
        return self.logits.gather(1, anchors)

    def features(self, anchors: Tensor) -> Tensor:
        """The tower's features (B, R, D) at the cells of anchors (B, R)."""
        cells = anchors // (self.logits.shape[1] // self.towers.shape[1])
        return self.towers.gather(1, cells[..., None].expand(-1, -1, self.towers.shape[2]))


class Gate(nn.Module):
    """The tower. `head` has torchvision's layout, so weights of a detector fit."""

    def __init__(self, head: RetinaNetClassificationHead) -> None:
        super().__init__()
        self.head = head

    @classmethod
    def of_detector(cls, model: RetinaNet) -> Gate:
        """A gate that gives the scores of this detector."""
        gate = cls(copy.deepcopy(model.head.classification_head))
        return gate.to(memory_format=torch.channels_last).requires_grad_(True)

    @classmethod
    def build(cls, width: int, anchors_per_cell: int) -> Gate:
        """A gate with random weights, to load others into."""
        return cls(RetinaNetClassificationHead(width, anchors_per_cell, num_classes=1))

    def forward(self, pyramid: Sequence[Tensor]) -> GateMaps:
        """Gates of B films from their pyramid maps (B, D, H, W), one tensor for each level."""
        canvas = _Canvas.of(pyramid)
        tower = canvas.draw(pyramid)
        for layer in self.head.conv:
            tower = layer(tower) * canvas.is_cell.to(tower)
        logits = self.head.cls_logits(tower)
        return GateMaps(
            torch.cat([part.flatten(1) for part in canvas.cut(logits)], dim=1).float(),
            torch.cat([part.flatten(1, 2) for part in canvas.cut(tower)], dim=1).float(),
        )


@dataclass(frozen=True)
class _Canvas:
    """All levels in one map, so that a layer is one convolution: below each other in two columns,
    with a row or column of zeros between them, which is each level's own padding.

    `corners` holds the first row and column of each level, `shapes` its size; `is_cell` (1, 1, H,
    W) is 1 where there is a level.
    """

    corners: tuple[tuple[int, int], ...]
    shapes: tuple[tuple[int, int], ...]
    is_cell: Tensor

    @classmethod
    def of(cls, pyramid: Sequence[Tensor]) -> _Canvas:
        shapes = tuple((int(level.shape[2]), int(level.shape[3])) for level in pyramid)
        height, width = shapes[0]
        corners, across = [(0, 0)], 0
        for _, wide in shapes[1:]:
            corners.append((height + 1, across))
            across += wide + 1
        rows = height + 1 + max((high for high, _ in shapes[1:]), default=0)
        is_cell = pyramid[0].new_zeros((1, 1, rows, max(width, across)))
        for (top, left), (high, wide) in zip(corners, shapes, strict=True):
            is_cell[..., top : top + high, left : left + wide] = 1
        return cls(tuple(corners), shapes, is_cell)

    def draw(self, pyramid: Sequence[Tensor]) -> Tensor:
        first = pyramid[0]
        drawn = first.new_zeros((*first.shape[:2], *self.is_cell.shape[2:]))
        drawn = drawn.contiguous(memory_format=torch.channels_last)
        for level, (top, left), (high, wide) in zip(
            pyramid, self.corners, self.shapes, strict=True
        ):
            drawn[:, :, top : top + high, left : left + wide] = level
        return drawn

    def cut(self, drawn: Tensor) -> list[Tensor]:
        """Each level (B, H, W, C) of a map."""
        last = drawn.permute(0, 2, 3, 1)
        return [
            last[:, top : top + high, left : left + wide]
            for (top, left), (high, wide) in zip(self.corners, self.shapes, strict=True)
        ]
