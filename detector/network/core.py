"""`DetectorMaps`: what the heavy part of the detector gives: backbone, pyramid, heads.

PyTorch runs it here, ONNX Runtime in `detector.network.onnx_core`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from detector.network.torchvision_parts import RetinaNet

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class DetectorMaps:
    """Maps of B films, one tensor for each pyramid level P3 to P7, all float32.

    `pyramid` and `towers` (last convolution of the classification tower) are (B, D, H, Wd);
    `logits` (B, A, H, Wd) and `deltas` (B, 4 A, H, Wd) with A anchors per cell.
    """

    pyramid: tuple[Tensor, ...]
    towers: tuple[Tensor, ...]
    logits: tuple[Tensor, ...]
    deltas: tuple[Tensor, ...]


Core = Callable[[Tensor], DetectorMaps]


def run_detector(model: RetinaNet, pixels: Tensor) -> DetectorMaps:
    """The maps of normalised, padded films (B, 3, H, Wd), computed as in `RetinaNet.forward`."""
    pyramid = tuple(model.backbone(pixels).values())
    classes, boxes = model.head.classification_head, model.head.regression_head
    towers = tuple(classes.conv(level) for level in pyramid)
    return DetectorMaps(
        pyramid=pyramid,
        towers=towers,
        logits=tuple(classes.cls_logits(tower) for tower in towers),
        deltas=tuple(boxes.bbox_reg(boxes.conv(level)) for level in pyramid),
    )


def torch_core(model: RetinaNet, precision: Precision = "float32") -> Core:
    """PyTorch as the core, on `fast_copy` of the model.

    The maps differ from the model's by rounding. With `bfloat16` convolutions are rounded to 8
    bits of mantissa.
    """
    fast = fast_copy(model)

    def core(pixels: Tensor) -> DetectorMaps:
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        if precision == "float32":
            return run_detector(fast, pixels)
        with torch.autocast(pixels.device.type, torch.bfloat16):
            maps = run_detector(fast, pixels)
        return DetectorMaps(
            pyramid=_float(maps.pyramid),
            towers=_float(maps.towers),
            logits=_float(maps.logits),
            deltas=_float(maps.deltas),
        )

    return core


def fast_copy(model: RetinaNet) -> RetinaNet:
    """A copy that takes half the time on the CPU: batch norms folded, channels last."""
    fast = copy.deepcopy(model).to(memory_format=torch.channels_last)
    fold_batch_norms(fast)
    return fast


def fold_batch_norms(module: nn.Module) -> None:
    """Fold each batch norm's scale and shift into the convolution before it, in place.

    A network has to name them one after the other, as torchvision's and ours do.
    """
    before: tuple[str, nn.Conv2d] | None = None
    for name, child in list(module.named_children()):
        if before is not None and isinstance(child, nn.BatchNorm2d):
            setattr(module, before[0], fuse_conv_bn_eval(before[1], child))
            setattr(module, name, nn.Identity())
        before = (name, child) if isinstance(child, nn.Conv2d) else None
        fold_batch_norms(child)


def _float(maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(level.float() for level in maps)
