"""The parts of torchvision that the detector is built of, imported without torch's compiler.

`torchvision.ops.roi_align` imports `torch._dynamo`, with sympy and triton (1.4 of 3.4 seconds), for
a question that it asks only on a GPU with deterministic algorithms. Here it is imported when it is
asked.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from detector.run.quick_torch import import_meta_kernels

COMPILER = "torch._dynamo.utils"


def _is_compile_supported(device_type: str) -> bool:
    """The function of that name in `torch._dynamo.utils`, imported when it is called."""
    import_meta_kernels()
    return bool(importlib.import_module(COMPILER).is_compile_supported(device_type))


@contextmanager
def _compiler_later() -> Iterator[None]:
    """While torchvision is imported, a module that imports the compiler for any other name."""
    if COMPILER in sys.modules:
        yield
        return
    later = ModuleType(COMPILER)

    def other_name(name: str) -> Any:  # Any: whatever a later torchvision asks for
        if name.startswith("__"):  # of modules; `inspect` looks at all of them
            raise AttributeError(name)
        sys.modules.pop(COMPILER, None)
        import_meta_kernels()
        return getattr(importlib.import_module(COMPILER), name)

    vars(later).update(is_compile_supported=_is_compile_supported, __getattr__=other_name)
    sys.modules[COMPILER] = later
    try:
        yield
    finally:
        if sys.modules.get(COMPILER) is later:
            del sys.modules[COMPILER]


with _compiler_later():
    from torchvision.models import resnet
    from torchvision.models.detection import RetinaNet
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.backbone_utils import BackboneWithFPN
    from torchvision.models.detection.image_list import ImageList
    from torchvision.models.detection.retinanet import RetinaNetHead
    from torchvision.ops import (
        box_iou,
        clip_boxes_to_image,
        generalized_box_iou_loss,
        nms,
        roi_align,
        sigmoid_focal_loss,
    )
    from torchvision.ops.feature_pyramid_network import LastLevelP6P7

__all__ = [
    "AnchorGenerator",
    "BackboneWithFPN",
    "ImageList",
    "LastLevelP6P7",
    "RetinaNet",
    "RetinaNetHead",
    "box_iou",
    "clip_boxes_to_image",
    "generalized_box_iou_loss",
    "nms",
    "resnet",
    "roi_align",
    "sigmoid_focal_loss",
]
