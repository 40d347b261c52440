"""The map of an attribute against painting its boxes pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.figures.attention_maps import GRID, attention_map


@pytest.mark.parametrize("seed", range(3))
def test_the_map_is_the_sum_of_weighted_boxes(seed):
    random = np.random.default_rng(seed)
    corner = random.uniform(0, 60, (4, 2)) * [1, 2]
    xyxy = np.hstack([corner, corner + random.uniform(10, 40, (4, 2))])
    weights = random.random(4)
    found = attention_map(xyxy, weights, 100, 200)
    slow = np.zeros((GRID, GRID))
    for row in range(GRID):
        for column in range(GRID):
            x, y = (column + 0.5) * 100 / GRID, (row + 0.5) * 200 / GRID
            slow[row, column] = sum(
                w
                for (x1, y1, x2, y2), w in zip(xyxy, weights, strict=True)
                if x1 <= x < x2 and y1 <= y < y2
            )
    np.testing.assert_allclose(found, slow / slow.max(), rtol=1e-5)


def test_no_weight_is_no_heat():
    assert not attention_map(np.array([[0.0, 0, 10, 10]]), np.zeros(1), 20, 20).any()
