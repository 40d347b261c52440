"""`film_evidence` against a loop over films, regions and fields."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import nms

from localize.network.film_evidence import (
    COUNT,
    LEAST_LOGIT,
    MAX_IOU,
    TOP_SCORES,
    WIDTH,
    film_evidence,
)

FILMS, REGIONS = 3, 12
FIELDS = [
    (left, top, left + 0.5, bottom)
    for left in (0.0, 0.5)
    for top, bottom in ((0.0, 0.32), (0.32, 0.5), (0.5, 1.0))
]


def random_regions(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(FILMS, REGIONS, 2, generator=generator) * 0.7
    side = torch.rand(FILMS, REGIONS, 2, generator=generator) * 0.3
    logits = torch.randn(FILMS, REGIONS, generator=generator) * 3
    mask = torch.ones(FILMS, REGIONS, dtype=torch.bool)
    mask[1, 2:] = False
    return torch.cat([corner, corner + side], dim=2), logits, mask


def slow_evidence(boxes: torch.Tensor, logits: torch.Tensor) -> list[float]:
    """One film, boxes (R, 4) and logits (R,)."""
    kept = nms(boxes, logits, MAX_IOU)[:COUNT].tolist()
    told = [max(float(logits[k]), LEAST_LOGIT) for k in kept[:TOP_SCORES]]
    told += [LEAST_LOGIT] * (TOP_SCORES - len(told))
    summed = math.log(sum(math.exp(float(logit)) for logit in logits))
    extents = []
    for left, top, right, bottom in FIELDS:
        extent = 0.0
        for k in kept:
            x1, y1, x2, y2 = boxes[k].tolist()
            width, height = min(x2, right) - max(x1, left), min(y2, bottom) - max(y1, top)
            extent += max(width, 0) * max(height, 0) / (1 + math.exp(-float(logits[k])))
        extents.append(math.sqrt(extent))
    return [*told, max(summed, LEAST_LOGIT), *extents]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_evidence_equals_a_slow_loop(seed):
    boxes, logits, mask = random_regions(seed)
    found = film_evidence(boxes, logits, mask)
    assert found.shape == (FILMS, WIDTH)
    for film in range(FILMS):
        expected = slow_evidence(boxes[film][mask[film]], logits[film][mask[film]])
        assert found[film].tolist() == pytest.approx(expected, abs=1e-5)


def test_a_film_without_regions_and_boxes_without_area_say_nothing():
    boxes, logits, mask = random_regions(0)
    mask[0] = False
    boxes[1, :, 2:] = boxes[1, :, :2]
    found = film_evidence(boxes, logits, mask)
    assert found[0].tolist() == [LEAST_LOGIT] * (TOP_SCORES + 1) + [0.0] * len(FIELDS)
    assert not found[1, TOP_SCORES + 1 :].any()
    # Neither overlaps the other: both are told.
    best, other = sorted(logits[1, :2].clamp(min=LEAST_LOGIT).tolist(), reverse=True)
    assert found[1, :TOP_SCORES].tolist() == [best, other, LEAST_LOGIT]


def test_the_fields_are_the_patients_right_first_and_the_upper_first():
    boxes = torch.tensor([[[0.1, 0.6, 0.3, 0.9]], [[0.6, 0.05, 0.9, 0.3]]])
    found = film_evidence(boxes, torch.full((2, 1), 20.0), torch.ones(2, 1, dtype=torch.bool))
    right_lower, left_upper = found[:, TOP_SCORES + 1 :]
    assert right_lower.tolist() == pytest.approx([0, 0, math.sqrt(0.06), 0, 0, 0], abs=1e-6)
    assert left_upper.tolist() == pytest.approx([0, 0, 0, math.sqrt(0.075), 0, 0], abs=1e-6)
