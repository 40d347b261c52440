"""Rows of table 1: the published keys, differences, repeats."""

from __future__ import annotations

import json

import pytest
from matplotlib.axes import Axes

from experiments.core.evaluate_methods import MethodDifference, evaluate_methods
from experiments.core.side_accuracy import SideAccuracy
from experiments.methods.names import BASELINE
from experiments.tables.rows import TableRow, rows_markdown, table_row
from experiments.tables.table1 import Table1, write_table1
from experiments.tables.table1_figure import draw_table1
from localize.evaluation.bootstrap import Estimate
from tests.experiments.methods_for_tests import Given
from tests.localize.predictions import random_pair

KEYS = ["dataset", "method", "films", "boxes", "iou_25", "iou_50", "iou_75", "ap_50", "diff_iou_50"]


@pytest.fixture(scope="module")
def rows():
    """RetinaNet, another method, and RetinaNet's twin of three repeats."""
    baseline, truth = random_pair(0)
    other = random_pair(0)[0]
    other.boxes["score"] = 1 - other.boxes["score"]
    methods = [Given(name=BASELINE), Given(name="other"), Given(name="twin", repeats=3)]
    predictions = {BASELINE: [baseline], "other": [other], "twin": [baseline] * 3}
    found = evaluate_methods(predictions, methods, truth)
    return [table_row("films", one.name, found[one.name], one.repeats) for one in methods]


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


def test_repeats_count_each_film_once_and_are_compared_with_the_baseline(rows):
    baseline, _, twin = (row.as_json() for row in rows)
    for key in ("films", "boxes", "iou_25", "iou_50"):
        assert twin[key] == pytest.approx(baseline[key])
    assert twin["intervals"]["iou_50"] == pytest.approx(baseline["intervals"]["iou_50"])
    assert twin["diff_iou_50"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert twin["draws"] == 3


def test_a_method_without_attributes_has_no_attribute_numbers(rows):
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


def write(folder, rows, **content):
    table = Table1("pneumoloc x", rows, {"seeds": [0]}, {"films": "abc"}, **content)
    return write_table1(table, folder, "table1-x")


def test_the_written_table_has_command_provenance_and_side_accuracy(rows, tmp_path):
    text = write(tmp_path, rows, notes=["A note."], sides={"other": SideAccuracy(4, 3)})
    content = json.loads((tmp_path / "table1-x.json").read_text())
    assert content["command"] == "pneumoloc x"
    assert content["provenance"]["seeds"] == [0]
    assert content["provenance"]["data_sha256"] == {"films": "abc"}
    assert [row["method"] for row in content["rows"]] == [BASELINE, "other", "twin"]
    assert content["rows"][1]["side_share"] == 0.75
    assert "A note." in text
    assert ".842/.579/.079" in text
    assert (tmp_path / "table1-x.md").read_text() == text


def test_the_differences_to_controls_stand_on_page_and_in_json(rows, tmp_path):
    unknown = Estimate(None, None, None)
    by_metric = {"iou_at_0.5": Estimate(0.031, -0.01, 0.07), "film_auc": unknown}
    differences = [MethodDifference("films", "report_adapted", "own", by_metric)]
    text = write(tmp_path, rows, differences=differences)
    assert "| films | report_adapted | own | - | 0.031 [-0.010, 0.070] | - | - | - |" in text
    found = json.loads((tmp_path / "table1-x.json").read_text())["diffs"]
    by_name = {row["metric"]: row for row in found}
    names = {"dataset": "films", "a": "report_adapted", "b": "own"}
    assert by_name["iou_50"] == names | {
        "metric": "iou_50",
        "mean": 0.031,
        "low": -0.01,
        "high": 0.07,
    }
    assert by_name["film_auc"]["mean"] is None


def test_a_row_read_from_json_is_the_row_that_was_written(rows):
    for row in rows:
        content = json.loads(json.dumps(row.as_json()))
        again = TableRow.from_json(content)
        assert again.as_json() == content
        assert again.numbers == row.numbers


def test_a_figure_has_a_bar_of_each_iou_for_each_method(rows, tmp_path, monkeypatch):
    heights = []
    real = Axes.bar

    def bar(self, x, height, *args, **kwargs):
        heights.append(list(height))
        return real(self, x, height, *args, **kwargs)

    monkeypatch.setattr(Axes, "bar", bar)
    for name in ("a", "b"):
        draw_table1(rows, tmp_path / f"{name}.png")
    expected = [
        [row.number(f"iou_at_{threshold}").value for row in rows]
        for threshold in ("0.25", "0.5", "0.75")
    ]
    assert heights == expected * 2
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
