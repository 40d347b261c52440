"""Rows and differences: a method that is better on every seed, and its intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from experiments.attention.page import attention_page, score_rows
from experiments.attention.ranked import RankedBoxes, write_ranked
from experiments.attention.run import PREDICTIONS, TRUTH, write_truth
from experiments.attention.table import differences, read_scores, t_interval

FILMS = 12
TRUE = np.array([10.0, 10, 50, 50])


def _write(folder, method, hits, seed):
    """One box a film, right on the first `hits` films with a box; the even films have one."""
    random = np.random.default_rng(seed)
    boxes = np.tile(TRUE.astype(np.float32), (FILMS, 1))
    boxes[2 * hits :] += 45
    scores = random.normal(size=FILMS).astype(np.float32)
    ranked = RankedBoxes(boxes, scores, np.arange(FILMS), scores)
    write_ranked(ranked, folder / f"00570_{method}.npz")


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    for seed in (5, 6):
        folder = out / PREDICTIONS / f"seed_{seed}"
        folder.mkdir(parents=True)
        true = tuple(TRUE[None] if k % 2 == 0 else np.zeros((0, 4)) for k in range(FILMS))
        write_truth(true, [f"p{k // 2}" for k in range(FILMS)], folder / TRUTH)
        _write(folder, "retinanet", 2, seed)
        _write(folder, "proposed", 5 if seed == 5 else 4, seed)
    return read_scores(out, (5, 6), replicates=200)


def test_rows_hold_each_seeds_own_values(scores):
    rows = {(row["method"], row["seed"]): row for row in score_rows(scores)}
    assert rows["retinanet", 5]["iou_50"] == pytest.approx(2 / 6, abs=1e-5)
    assert rows["retinanet", 5]["pairs"] == 0
    assert rows["proposed", 5]["iou_50"] == pytest.approx(5 / 6, abs=1e-5)
    assert rows["proposed", 6]["iou_50"] == pytest.approx(4 / 6, abs=1e-5)
    assert rows["proposed", 6]["pairs"] == 570


def test_a_difference_is_the_mean_over_seeds_with_an_interval_over_patients_and_over_seeds(scores):
    found = {
        one.over: one
        for one in differences(scores)
        if (one.a, one.b, one.metric) == ("proposed", "retinanet", "iou_50")
    }
    assert found["patients"].mean == pytest.approx((3 / 6 + 2 / 6) / 2)
    assert 0 <= found["patients"].low < found["patients"].mean < found["patients"].high
    half = stats.t.ppf(0.975, 1) * np.std([3 / 6, 2 / 6], ddof=1) / np.sqrt(2)
    assert found["seeds"].high == pytest.approx(found["seeds"].mean + half)


def test_a_single_seed_has_no_interval():
    assert t_interval(np.array([0.1])) == (None, None)


def test_the_page_shows_methods_and_both_intervals(scores):
    page = attention_page(
        {
            "command": "pneumoloc experiment attention",
            "rows": score_rows(scores),
            "differences": [vars(one) for one in differences(scores)],
            "development": {},
            "provenance": {"methods": {"570": ["retinanet", "proposed", "truth"]}},
        }
    )
    assert "| 570 | proposed | 2 | " in page
    assert "**Not run**: truth with 570 pairs." in page
    assert "| 570 | proposed | retinanet | 2 | +0.417 [" in page
