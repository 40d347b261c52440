from __future__ import annotations

import numpy as np
import pytest

from localize.evaluation import measure
from localize.evaluation.measure import narrow, ratio_measure


@pytest.mark.parametrize("films_at_a_time", [3, 65_536])
@pytest.mark.parametrize("most", [1, 255, 256, 70_000])
def test_narrow_counts_give_the_ratio_of_wide_ones(most, films_at_a_time, monkeypatch):
    monkeypatch.setattr(measure, "FILMS_AT_A_TIME", films_at_a_time)
    random = np.random.default_rng(most)
    top, bottom = random.integers(most + 1, size=(50, 2)), random.integers(most + 1, size=(50, 1))
    weights = random.integers(300, size=(4, 50)).astype(np.float64)
    expected = (weights @ top.astype(np.float64)) / (weights @ bottom.astype(np.float64))
    found = ratio_measure(("a", "b"), narrow(top), narrow(bottom)).values(weights)
    assert found.tolist() == expected.tolist()  # whole numbers: no rounding before the division


def test_counts_are_kept_in_the_fewest_bytes():
    for most, size in ((0, 1), (255, 1), (256, 2), (65_536, 4)):
        counts = np.array([0, most])
        assert narrow(counts).itemsize == size
        assert narrow(counts).tolist() == counts.tolist()
    assert narrow(np.zeros(0, np.int64)).shape == (0,)
