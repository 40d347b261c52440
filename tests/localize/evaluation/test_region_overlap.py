from __future__ import annotations

import numpy as np
import pytest

from localize.evaluation import region_overlap
from localize.evaluation.region_overlap import union_iou
from tests.localize.evaluation.slow_loops import films_of, random_film_boxes


@pytest.mark.parametrize("cells", [50, 12_000_000])
def test_union_iou_equals_painting_pixels(cells, monkeypatch):
    monkeypatch.setattr(region_overlap, "MAX_CELLS", cells)
    boxes = random_film_boxes(4, max_true=5)
    expected = []
    for pred, _, true in films_of(boxes):
        region = np.zeros((150, 150), bool)
        for x1, y1, x2, y2 in true.astype(int) + 10:
            region[y1:y2, x1:x2] = True
        for x1, y1, x2, y2 in pred.astype(int) + 10:
            mask = np.zeros_like(region)
            mask[y1:y2, x1:x2] = True
            expected.append((mask & region).sum() / (mask | region).sum() if len(true) else 0)
    np.testing.assert_allclose(union_iou(boxes), expected, atol=1e-12)
    assert max(expected) > 0.5
