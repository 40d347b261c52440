"""Rows of table 1: the keys that readers rely on, differences, draws."""

from __future__ import annotations

import json

import pytest
from experiments.core.judge import ControlDifference, judge_methods
from experiments.core.sides import SideCount

from experiments.core.repeats import repeated_prediction
from experiments.methods.method import BASELINE, Method
from experiments.tables.rows import rows_markdown, table_row
from experiments.tables.table1 import Table1, write_table1
from localize.evaluation.bootstrap import Estimate
from tests.localize.predictions import random_pair

KEYS = ["dataset", "method", "films", "boxes", "iou_25", "iou_50", "iou_75", "ap_50", "diff_iou_50"]


def nothing(road, test):
    raise AssertionError("predictions are given")


@pytest.fixture(scope="module")
def rows():
    """RetinaNet, another method, and RetinaNet's twin of three draws."""
    baseline, truth = random_pair(0)
    other = random_pair(0)[0]
    other.boxes["score"] = 1 - other.boxes["score"]
    methods = [
        Method(BASELINE, "given", BASELINE, nothing),
        Method("other", "given", "other", nothing),
        Method("twin", "given", "twin", nothing, draws=3),
    ]
    predictions = {BASELINE: baseline, "other": other, "twin": repeated_prediction(baseline, 3)}
    found = judge_methods(predictions, methods, truth)
    return [table_row("films", method, found[method.name]) for method in methods]


def test_a_row_has_the_published_keys(rows):
    for row in rows:
        content = row.as_json()
        assert [key for key in content if key in KEYS] == KEYS
        assert set(content["diff_iou_50"]) == {"mean", "low", "high"}
        json.dumps(content, allow_nan=False)


def test_the_difference_is_that_of_the_two_values(rows):
    baseline, other, _ = (row.as_json() for row in rows)
    assert other["diff_iou_50"]["mean"] == pytest.approx(other["iou_50"] - baseline["iou_50"])
    assert other["iou_50"] != baseline["iou_50"]
    assert baseline["diff_iou_50"] == {"mean": 0.0, "low": 0.0, "high": 0.0}


def test_draws_count_each_film_once_and_are_compared_with_the_baseline(rows):
    baseline, _, twin = (row.as_json() for row in rows)
    for key in ("films", "boxes", "iou_25", "iou_50"):
        assert twin[key] == pytest.approx(baseline[key])
    assert twin["intervals"]["iou_50"] == pytest.approx(baseline["intervals"]["iou_50"])
    assert twin["diff_iou_50"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert twin["draws"] == 3


def test_a_method_without_words_has_no_attribute_numbers(rows):
    assert not any("attribute_macro_auc" in row.numbers for row in rows)


def test_markdown_has_a_line_for_each_method_and_no_gain_for_the_baseline(rows):
    lines = [line for line in rows_markdown(rows) if line.startswith("| ")]
    assert len(lines) == 1 + len(rows)
    heads = [cell.strip() for cell in lines[0].split("|")]
    baseline = next(line for line in lines if BASELINE in line and line != lines[0])
    cells = [cell.strip() for cell in baseline.split("|")]
    assert cells[heads.index("IoU@.5 minus RetinaNet")] == "-"
    film_auc = rows[0].number("film_auc").value
    assert cells[heads.index("film AUC")].startswith("-" if film_auc is None else f"{film_auc:.3f}")


def test_the_written_table_says_command_provenance_and_side_counts(rows, tmp_path):
    table = Table1(rows, {"seeds": [0]}, {"films": "abc"}, ("A note.",), {"other": SideCount(4, 3)})
    text = write_table1(table, tmp_path, "table1-x", title="Title", command="pneumoloc x")
    content = json.loads((tmp_path / "table1-x.json").read_text())
    assert list(content) == ["command", "provenance", "rows"]
    assert content["provenance"]["seeds"] == [0]
    assert content["provenance"]["data_sha256"] == {"films": "abc"}
    assert [row["method"] for row in content["rows"]] == [BASELINE, "other", "twin"]
    assert content["rows"][1]["side_share"] == 0.75
    assert ".842/.579/.079" in text
    assert (tmp_path / "table1-x.md").read_text() == text
    assert (tmp_path / "table1-x.png").read_bytes().startswith(b"\x89PNG")


def test_the_differences_to_controls_stand_in_page_and_json(rows, tmp_path):
    difference = {
        "iou_at_0.5": Estimate(0.031, -0.01, 0.07),
        "film_auc": Estimate(None, None, None),
    }
    controls = {"films": [ControlDifference("by_itself", difference)]}
    specs = [
        {"name": "twin", "kind": "adapted_detector", "adaptation": {"source": "own"}},
    ]
    table = Table1(rows, {"methods": specs}, {}, controls=controls)
    text = write_table1(table, tmp_path, "table1-x", title="Title", command="pneumoloc x")
    assert "| films | by_itself | - | 0.031 [-0.010, 0.070] | - | - | - |" in text
    assert "no text; the mean of 3 trainings from the one detector" in text
    (row,) = json.loads((tmp_path / "table1-x.json").read_text())["proposed_minus_controls"]
    assert (row["dataset"], row["control"]) == ("films", "by_itself")
    assert row["diff_iou_50"] == {"mean": 0.031, "low": -0.01, "high": 0.07}
    assert row["diff_film_auc"]["mean"] is None


def test_the_figure_is_the_same_every_time(rows, tmp_path):
    from experiments.tables.table1_figure import draw_table1

    for name in ("a", "b"):
        draw_table1(rows, tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
