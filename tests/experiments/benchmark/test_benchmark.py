"""The benchmark: shape and merging of rows, and that both sides of a ratio compute the same.

Nothing here looks at a clock.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from typer.testing import CliRunner

from data_manifests.support.errors import ConfigError, DataError
from detector.config import DetectorConfig
from experiments.benchmark import run as run_module
from experiments.benchmark import scan_loops
from experiments.benchmark.attention import make_step
from experiments.benchmark.evaluation import RandomBoxes, coco_reference, run_coco
from experiments.benchmark.random_tables import write_random_manifest
from experiments.benchmark.report import JSON, MARKDOWN, read_rows, write_benchmark
from experiments.benchmark.rows import BenchmarkRow, alternately, scaled
from experiments.benchmark.run import GROUPS, choose_groups, run_benchmark
from experiments.benchmark.scan_loops import backward_with_all_films, loop_losses
from experiments.benchmark.sizes import Bench, BenchmarkSize
from experiments.benchmark.tables import check_once
from experiments.cli.app import app
from localize.evaluation.average_precision import coco_average_precision
from localize.volumes.network.config import (
    VolumeNetworkConfig,
    VolumeSettings,
    VolumeTrainConfig,
)

TINY = BenchmarkSize(
    films=3,
    film_px=64,
    detector=DetectorConfig(backbone="resnet18", fpn_width=32, image_size=64, is_pretrained=True),
    batch=2,
    train_px=64,
    train_batch=2,
    train_steps=1,
    train_workers=0,
    attention_batch=6,
    regions=9,
    region_width=16,
    word_width=8,
    pairs=12,
    store_films=3,
    store_opened=200,
    boxes=500,
    reports=6,
    mined_reports=12,
    volume_shape=(40, 36, 24),
    volume_settings=VolumeSettings(
        network=VolumeNetworkConfig(width=2, dim=8, text_heads=2),
        training=VolumeTrainConfig(patch=(24, 24, 24)),
    ),
    growth=(100,),
    large=100,
)
KEYS = {
    "name",
    "group",
    "what",
    "ours",
    "baseline",
    "unit",
    "ratio",
    "ratio_is",
    "goal",
    "is_met",
    "baseline_is",
    "runs",
    "detail",
}
NAMED = {
    "predict_vs_forward",
    "attention_vs_loops",
    "attention_epoch_11308",
    "gate_epoch_11308",
    "detector_train_vs_reference",
    "evaluate_vs_pycocotools",
    "reports_per_second",
}


def row(name: str = "one", ours: float = 2.0, **changes) -> BenchmarkRow:
    settings = {"group": "g", "what": "work", "unit": "s", "runs": 5, **changes}
    return BenchmarkRow(name=name, ours=ours, **settings)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path / "work", TINY, 1)


@pytest.mark.parametrize(
    ("ratio_is", "goal", "ratio", "is_met"),
    [
        ("ours / baseline", "<= 0.60", 0.5, True),
        ("ours / baseline", "<= 0.40", 0.5, False),
        ("baseline / ours", ">= 2.00", 2.0, True),
        ("baseline / ours", ">= 2.10", 2.0, False),
        ("baseline / ours", "", 2.0, None),
    ],
)
def test_a_ratio_is_taken_as_the_row_says_and_judged_by_its_goal(ratio_is, goal, ratio, is_met):
    one = row(baseline=4.0, ratio_is=ratio_is, goal=goal)
    assert one.ratio == pytest.approx(ratio)
    assert one.is_met is is_met
    assert scaled(one, 1e3).ratio == pytest.approx(ratio)


def test_a_row_without_a_baseline_has_no_ratio():
    assert row().ratio is None
    assert row(goal="<= 1.00").is_met is None


def test_works_take_turns_after_one_unmeasured_round():
    done = []
    seconds = alternately([lambda: done.append("a"), lambda: done.append("b")], 2)
    assert done == ["a", "b"] * 3
    assert len(seconds) == 2


@pytest.fixture
def step():
    """Ingredients of one training step; films, reports, regions and words of all kinds."""
    made = make_step(TINY)
    for tensor in (made.batch.targets, made.batch.words):
        tensor[1:3] = 0  # a report without words
        tensor[2, :2] = 1  # words that are each other's negatives
    return made.objective, made.model, made.batch


def our_step(step):
    """Our loss parts, their weighted mean and its gradients."""
    objective, model, batch = step
    losses = objective.parts(model, batch)
    mean = objective.total(losses).mean()
    return losses, mean, gradients(model, mean.backward)


def gradients(model, backward):
    model.zero_grad(set_to_none=True)
    backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_loops_over_reports_compute_our_loss_and_gradient(step):
    ours, _, expected = our_step(step)
    theirs = loop_losses(*step)
    assert ours["triplet"].max() > 0.5
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        torch.testing.assert_close(theirs[name], values, rtol=0, atol=1e-4)
    found = gradients(step[1], step[0].total(theirs).mean().backward)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_loops_over_all_films_compute_our_loss_and_gradient(step, monkeypatch):
    monkeypatch.setattr(scan_loops, "CHUNK", 4)
    _, mean, expected = our_step(step)
    values = []
    found = gradients(step[1], lambda: values.append(backward_with_all_films(*step)))
    torch.testing.assert_close(values[0], mean.detach(), rtol=0, atol=1e-4)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_pycocotools_computes_our_average_precision():
    boxes = RandomBoxes(1000)
    ours = coco_average_precision(boxes.film_boxes())
    np.testing.assert_allclose(run_coco(coco_reference(boxes)), ours, rtol=0, atol=1e-6)
    assert 0.01 < ours[0] < 0.99


def test_the_checked_manifest_is_sound(tmp_path):
    write_random_manifest(tmp_path, 20)
    check_once(tmp_path)
    content = (tmp_path / "boxes.csv").read_text().replace("film-0000003", "film-9999999")
    (tmp_path / "boxes.csv").write_text(content)
    with pytest.raises(DataError):
        check_once(tmp_path)


@pytest.mark.slow
def test_every_group_gives_rows_of_one_shape(bench):
    bench.work.mkdir()
    rows = [one.as_json() for one in run_benchmark(bench, list(GROUPS))]
    names = [one["name"] for one in rows]
    assert len(set(names)) == len(names)
    assert set(names) >= NAMED
    assert {one["group"] for one in rows} >= GROUPS.keys() - {"onnx", "int8"}
    for one in rows:
        assert one.keys() == KEYS
        assert one["ours"] > 0
        assert one["ratio"] is None or one["ratio"] > 0
    json.dumps(rows, allow_nan=False)
    assert {path.name for path in bench.work.iterdir()} <= {"films", "bundle"}


def test_an_unknown_group_is_refused_with_the_known_ones():
    assert choose_groups([]) == list(GROUPS)
    assert choose_groups(["rois", "predict"]) == ["predict", "rois"]
    with pytest.raises(ConfigError, match="predict, onnx"):
        choose_groups(["speed"])


def test_rows_measured_again_replace_their_own_and_keep_the_others(tmp_path):
    write_benchmark([row("one", 1.0), row("two", 2.0)], tmp_path)
    write_benchmark([row("three", 3.0), row("one", 4.0)], tmp_path)
    content = json.loads((tmp_path / JSON).read_text())
    assert content.keys() == {"command", "provenance", "rows"}
    assert [(one["name"], one["ours"]) for one in content["rows"]] == [
        ("one", 4.0),
        ("two", 2.0),
        ("three", 3.0),
    ]
    assert all("measured_utc" in one for one in content["rows"])
    table = (tmp_path / MARKDOWN).read_text()
    assert "| `three` | work | 3 s |" in table


def test_growth_is_plotted_and_tabled(tmp_path, monkeypatch):
    points = [
        row(f"export_growth_{n}", n * 1e-5, detail={"rows": n, "peak_mib": 50.0, "us_per_row": 10})
        for n in (10_000, 1000)
    ]
    lines = []
    real = Axes.loglog
    monkeypatch.setattr(
        Axes, "loglog", lambda self, *a, **k: lines.append(a[:2]) or real(self, *a, **k)
    )
    text = write_benchmark(points, tmp_path)
    measured, linear = ([list(values) for values in line] for line in lines)
    assert measured == [[1000, 10_000], pytest.approx([0.01, 0.1])]
    assert linear[1] == pytest.approx([0.01, 0.1])  # through the largest point
    assert {path.name for path in tmp_path.glob("*.png")} == {"benchmark-export.png"}
    assert "| 10,000 | work | 0.1 | 10 | 50 |" in text


def test_costs_are_carried_on_to_many_films(tmp_path):
    rows = [row("predict_vs_forward", 360.0), row("roi_store_size", 1.06)]
    text = write_benchmark(rows, tmp_path)
    assert "| `predict`, one process | hours | 100 | 10,000 |" in text  # .36 s a film
    assert "| ROI store | GB | 106 | 10,600 |" in text


def test_a_damaged_benchmark_json_is_refused(tmp_path):
    (tmp_path / JSON).write_text('{"rows": [{"ours": 1}]}')
    with pytest.raises(DataError, match="expected rows of a benchmark"):
        read_rows(tmp_path / JSON)


def test_the_command_writes_what_it_measured(tmp_path, monkeypatch):
    monkeypatch.setitem(run_module.GROUPS, "rois", lambda bench: iter([row("roi", 1.5)]))
    result = CliRunner().invoke(
        app, ["benchmark", "--only", "rois", "--results", str(tmp_path), "--json"]
    )
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / JSON).read_text())["rows"][0]["ours"] == 1.5
