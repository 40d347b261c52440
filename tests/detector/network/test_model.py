"""The network: no second resizing, and anchors of the configured sizes."""

from __future__ import annotations

import torch

from detector.network.model import build_detector
from tests.detector.films import tiny_config


def test_a_prepared_film_is_not_resized_again():
    model = build_detector(tiny_config(image_size=96))
    for shape in ((96, 96), (96, 70), (33, 96)):
        image = torch.rand(3, *shape)
        resized, _ = model.transform.resize(image)
        assert torch.equal(resized, image), shape


def test_anchors_are_tall_and_of_the_configured_sizes():
    config = tiny_config(image_size=512)
    cells = build_detector(config).anchor_generator.cell_anchors
    for side, anchors in zip(config.anchor_sides, cells, strict=True):
        width, height = (anchors[:, 2:] - anchors[:, :2]).unbind(1)
        areas = (width * height).sqrt().reshape(3, 3)  # ratio, scale
        for k, scale in enumerate((1, 2 ** (1 / 3), 2 ** (2 / 3))):
            # torchvision rounds corners to whole pixels.
            torch.testing.assert_close(
                areas[:, k], torch.full((3,), side * 512 * scale), atol=1.5, rtol=0
            )
        ratios = (height / width).reshape(3, 3).mean(dim=1)
        torch.testing.assert_close(ratios, torch.tensor([0.7, 1.2, 2.0]), atol=0.06, rtol=0)
