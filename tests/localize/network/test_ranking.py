"""Ranking and suppression against a slow loop."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from localize.network.ranking import rank_regions, rank_values


def iou(a: list[float], b: list[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union


def slow_ranking(boxes: list[list[float]], values: list[float], nms_iou: float, limit: int):
    kept: list[int] = []
    for k in sorted(range(len(boxes)), key=lambda k: (-values[k], k)):
        if all(iou(boxes[k], boxes[better]) <= nms_iou for better in kept):
            kept.append(k)
    return kept[:limit]


corner = st.integers(0, 20)
box = st.tuples(corner, corner, st.integers(1, 20), st.integers(1, 20)).map(
    lambda c: [float(c[0]), float(c[1]), float(c[0] + c[2]), float(c[1] + c[3])]
)


@settings(max_examples=50, deadline=None)
@given(
    boxes=st.lists(box, max_size=12),
    nms_iou=st.sampled_from([0.0, 0.31, 0.57, 1.0]),
    limit=st.integers(1, 12),
    data=st.data(),
)
def test_kept_regions_equal_the_slow_loop(boxes, nms_iou, limit, data):
    # Few different values: ties keep the order of the regions, on every machine.
    value = st.integers(-3, 3).map(float)
    values = data.draw(st.lists(value, min_size=len(boxes), max_size=len(boxes)))
    tensor = torch.tensor(boxes).reshape(-1, 4)
    found = rank_regions(tensor, torch.tensor(values), nms_iou=nms_iou, limit=limit)
    assert found.tolist() == slow_ranking(boxes, values, nms_iou, limit)


@pytest.mark.parametrize("by", ["alpha", "alpha_score"])
def test_values_are_the_logarithm_of_what_they_are_called(by):
    alpha_logits, score_logits = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0, 4.0])
    values = rank_values(alpha_logits, score_logits, by)
    alpha = torch.softmax(alpha_logits, dim=0)
    product = alpha * score_logits.sigmoid() if by == "alpha_score" else alpha
    # Equal up to a constant of the film.
    torch.testing.assert_close(values - values[0], product.log() - product.log()[0])


def test_the_two_orders_differ_where_alpha_and_score_disagree():
    alpha_logits = torch.tensor([0.0, -0.1])
    score_logits = torch.tensor([math.log(0.01 / 0.99), math.log(0.9 / 0.1)])
    assert rank_values(alpha_logits, score_logits, "alpha").argmax() == 0
    assert rank_values(alpha_logits, score_logits, "alpha_score").argmax() == 1


def test_values_far_below_the_best_do_not_tie():
    # As probabilities both are 0 in float32.
    values = rank_values(torch.tensor([0.0, -200.0, -199.0]), torch.zeros(3), "alpha")
    boxes = torch.tensor([[0.0, 0, 1, 1], [2, 2, 3, 3], [4, 4, 5, 5]])
    assert rank_regions(boxes, values, nms_iou=0.3, limit=3).tolist() == [0, 2, 1]
