"""From probability maps to lung fields."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from detector.lungs.config import LungNetworkConfig
from detector.lungs.segment import NO_LUNGS, LungSegmenter, fields_of_maps

SIDE = 64


def drawn_maps(**parts):
    """Maps (3, 64, 64): .9 inside the rectangles x1, y1, x2, y2 of right, left and heart."""
    maps = np.full((3, SIDE, SIDE), 0.02, np.float32)
    for name, boxes in parts.items():
        for x1, y1, x2, y2 in boxes:
            maps[("right", "left", "heart").index(name), y1:y2, x1:x2] = 0.9
    return maps


LUNGS = {"right": [(8, 10, 26, 50)], "left": [(38, 10, 56, 50)]}


def test_each_part_has_its_place_and_the_mean_of_its_probabilities():
    fields = fields_of_maps(drawn_maps(**LUNGS, heart=[(22, 34, 44, 54)]), SIDE, SIDE)
    expected = np.zeros((SIDE, SIDE), np.uint8)
    expected[34:54, 22:44] = 3
    expected[10:50, 8:26], expected[10:50, 38:56] = 1, 2
    np.testing.assert_array_equal(fields.labels, expected)
    assert (fields.right_score, fields.left_score) == pytest.approx((0.9, 0.9))
    assert fields.heart.xyxy.tolist() == [[22, 34, 44, 54]]


def test_labels_have_the_size_of_the_film():
    fields = fields_of_maps(drawn_maps(**LUNGS), 320, 128)
    assert fields.labels.shape == (128, 320)
    assert fields.labels[60, 5 * 17] == 1
    share = (fields.labels == 1).mean() / (18 * 40 / SIDE**2)
    assert share == pytest.approx(1, abs=0.03)


def test_only_the_largest_piece_counts_and_its_holes_are_filled():
    maps = drawn_maps(right=[*LUNGS["right"], (2, 56, 6, 60)], left=LUNGS["left"])
    maps[0, 30:33, 15:18] = 0.1
    fields = fields_of_maps(maps, SIDE, SIDE)
    assert (fields.labels[10:50, 8:26] == 1).all()
    assert not fields.labels[56:60, 2:6].any()


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({}, NO_LUNGS),
        ({"right": [(8, 10, 26, 50)], "left": [(40, 40, 45, 45)]}, "no left lung found"),
        ({"left": [(38, 10, 56, 50)]}, "no right lung found"),
        ({"left": LUNGS["right"], "right": LUNGS["left"]}, "wrong way round"),
    ],
)
def test_missing_or_swapped_lungs_are_named(parts, reason):
    fields = fields_of_maps(drawn_maps(**parts), SIDE, SIDE)
    assert reason in fields.reason
    assert not fields.is_complete


def test_lung_of_low_probability_is_not_believed():
    maps = drawn_maps(**LUNGS)
    maps[1] *= 0.6
    assert "no left lung" in fields_of_maps(maps, SIDE, SIDE).reason


def test_no_heart_is_reported_where_no_lung_is():
    fields = fields_of_maps(drawn_maps(heart=[(22, 34, 44, 54)]), SIDE, SIDE)
    assert fields.heart is None
    assert not fields.labels.any()


class BrightIsLung(nn.Module):
    """Calls bright pixels of the left half right lung and of the right half left lung, in pictures
    whose brightest row is the first."""

    def forward(self, films):
        upright = films[:, :, 0].mean(dim=-1) > films.mean(dim=(2, 3)) + 1
        bright = (films > 0) & upright[:, :, None, None]
        columns = torch.arange(films.shape[-1]) < films.shape[-1] // 2
        none = torch.zeros_like(bright)
        return torch.cat([bright & columns, bright & ~columns, none], dim=1) * 40.0 - 20.0


@pytest.mark.parametrize(
    ("quarters", "words"),
    [(1, "on its side, turned left"), (2, "upside down"), (3, "on its side, turned right")],
)
def test_turned_film_has_no_lungs_and_the_reason_says_how_it_lies(quarters, words):
    film = np.zeros((64, 64), np.float32)
    film[10:40, 6:26] = film[10:40, 38:58] = 1
    film[0] = 1
    film[0, 32] = 0
    segmenter = LungSegmenter(
        BrightIsLung(), LungNetworkConfig(image_size=64, widths=(8, 8)), torch.device("cpu")
    )
    assert segmenter.fields(film).is_complete
    found = segmenter.fields(np.ascontiguousarray(np.rot90(film, quarters)))
    assert not found.is_found
    assert words in found.reason
