"""The table of the volumes' ablation: its JSON, its page, its paired differences."""

from __future__ import annotations

import json

import pytest

from experiments.methods.volume_rows import BOTH, NEITHER, ROWS
from experiments.tables import volumes as table_module
from experiments.tables.volumes import RowResult, volumes_table, write_volumes
from localize.volumes.evaluation.evaluate import GroundingEvaluation, Interval
from localize.volumes.evaluation.score_examples import AnomalyScore, mean_scores
from localize.volumes.evaluation.scores import MapScore


def result(row, seed, hits):
    scores = tuple(
        AnomalyScore(f"v{place // 2}", "nodule", "lung", "left", True, MapScore(0.5, 0.2, hit))
        for place, hit in enumerate(hits)
    )
    nothing = Interval(0, 0)
    evaluation = GroundingEvaluation(scores, mean_scores(scores), nothing, nothing, 4, 0.75)
    return RowResult(row, seed, evaluation, 12.5, "CPU")


@pytest.fixture
def table(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "anomalies.csv").write_text("volume_id\n")
    results = []
    for seed in (0, 1):
        for row in ROWS:
            hits = [True] * 10 if row == BOTH else [True, False] * 5
            if row == NEITHER and seed == 1:
                hits = [False] * 10
            results.append(result(row, seed, hits))
    return volumes_table(results, tmp_path, command="command", volumes=20, epochs=1)


def test_differences_are_paired_over_seeds_and_volumes(table):
    (both,) = [one for one in table["minus_neither"] if one["row"] == BOTH.name]
    # Neither: (5 + 0) of 20; both: 20 of 20; the same in every volume, so without width.
    assert both["accuracy"] == {"mean": 0.75, "low": 0.75, "high": 0.75}
    assert both["dice"]["mean"] == 0
    assert len(table["rows"]) == 10
    first = table["rows"][0]
    assert {"method", "anatomy", "structuring", "seed", "dice", "miou", "accuracy"} <= set(first)
    assert (table["denied"], table["denied_without_map"]) == (8, 0.75)


def test_the_page_has_a_line_for_every_row_and_kind(table, tmp_path):
    page = write_volumes(table, tmp_path).read_text("utf-8")
    assert all(f"| {row.name} |" in page for row in ROWS)
    assert "| lung | nodule | 20 | 0.500 |" in page
    assert json.loads((tmp_path / "volumes.json").read_text())["rows"] == table["rows"]
    assert set(table_module.PAPER) == {row.name for row in ROWS}
