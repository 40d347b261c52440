"""The cores: bfloat16 and ONNX Runtime give the maps of PyTorch in float32."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from torch import nn

from data_manifests.support.errors import ConfigError
from detector.network import onnx_core as onnx_module
from detector.network.core import fold_batch_norms, run_detector, torch_core
from detector.network.onnx_core import onnx_core
from detector.proposals import ProposalOptions, propose_rois
from tests.detector.films import make_detector


@pytest.fixture(scope="module")
def model():
    return make_detector(image_size=96)


def films(count: int, *, width: int = 96, seed: int = 0):
    """Padded films as the network takes them."""
    return torch.rand(count, 3, 96, width, generator=torch.Generator().manual_seed(seed))


def assert_close(maps, exact, tolerance: float) -> None:
    """The mean error of each map within `tolerance` of the map's spread."""
    for part in fields(exact):
        levels = zip(getattr(maps, part.name), getattr(exact, part.name), strict=True)
        for found, expected in levels:
            assert found.dtype == expected.dtype
            assert found.shape == expected.shape
            error = (found - expected).abs().mean() / expected.std()
            assert error <= tolerance, part.name


@torch.inference_mode()
def test_bfloat16_maps_are_float32_and_near_those_of_float32(model):
    """Eight bits of mantissa: random weights' maps within hundredths of their largest value."""
    exact = run_detector(model, films(2))
    rounded = torch_core(model, "bfloat16")(films(2))
    assert not torch.equal(rounded.logits[0], exact.logits[0])
    for field in fields(exact):
        pairs = zip(getattr(rounded, field.name), getattr(exact, field.name), strict=True)
        for ours, theirs in pairs:
            assert ours.dtype == torch.float32
            assert (ours - theirs).abs().mean() <= 0.03 * theirs.abs().max(), field.name


@pytest.mark.parametrize("name", ["resnet50", "resnet18", "efficientnet_lite0"])
@pytest.mark.parametrize("pretrained", [True, False])
@torch.inference_mode()
def test_the_folded_copy_gives_the_maps_of_the_model(name, pretrained):
    model = make_detector(backbone=name, is_pretrained=pretrained)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:  # fresh ones do nothing
        norm.running_mean.normal_(0, 0.2)
        norm.running_var.uniform_(0.5, 2)
        norm.weight.uniform_(0.5, 1.5)
        norm.bias.normal_(0, 0.2)
    # The same function, so in double precision nothing but the order of sums may differ.
    model.double()
    pixels = films(2).double()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert_close(torch_core(model)(pixels), run_detector(model, pixels), 1e-9)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    fold_batch_norms(model)
    left = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert bool(norms) == pretrained
    assert not left


@pytest.mark.slow
@torch.inference_mode()
def test_onnx_runtime_gives_the_maps_and_boxes_of_torch(model):
    """One graph for any number of films; another one for another size."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    core = onnx_core(model)
    for pixels in (films(1), films(3), films(2, width=64)):
        assert_close(core(pixels), run_detector(model, pixels), 1e-4)
    images = list(films(2, seed=3))
    options = ProposalOptions(count=20)
    for ours, exact in zip(
        propose_rois(model, images, options, core),
        propose_rois(model, images, options),
        strict=True,
    ):
        torch.testing.assert_close(ours.best.boxes, exact.best.boxes, rtol=0, atol=1e-3)
        torch.testing.assert_close(ours.best.scores, exact.best.scores, rtol=0, atol=1e-5)


def test_a_missing_extra_is_told_with_its_name(model, monkeypatch):
    monkeypatch.setattr(onnx_module, "NEEDED", ("torch", "no_such_package"))
    with pytest.raises(ConfigError, match=r"no no_such_package; pip install 'pneumoloc\[onnx\]'"):
        onnx_core(model)
