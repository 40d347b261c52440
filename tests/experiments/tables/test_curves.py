"""The files of the curves: every point with its gain, and how far `proposed` is ahead of it."""

from __future__ import annotations

import json

from experiments.core.judge import ControlDifference

from experiments.core.phantom_run import PhantomResult
from experiments.core.presets import CurvesPreset, read_preset
from experiments.tables import curves as module
from experiments.tables.curves import run_curves, write_curves
from localize.evaluation.bootstrap import Estimate
from localize.evaluation.evaluate import evaluate
from tests.localize.predictions import make_prediction, make_truth

BOX = (10.0, 10.0, 60.0, 60.0)
AHEAD = {"trained_longer": Estimate(0.125, -0.25, 0.5)}


def fake_run(out, *, methods, shift, pairs, **_):
    """A run whose methods all find the one box; `proposed` is ahead of a control as told."""
    ids = ["a", "b"]
    truth = make_truth(ids, [("a", *BOX)])
    prediction = make_prediction(ids, [("a", *BOX, 0.9)])
    found = evaluate(prediction, truth, replicates=100, baseline=prediction)
    yield "a line"
    yield PhantomResult(
        evaluations={method.name: found for method in methods},
        controls=[ControlDifference(name, {"iou_at_0.5": e}) for name, e in AHEAD.items()],
        predictions={},
        sides={},
        truth=truth,
        methods=tuple(methods),
        pairs=float(pairs or 571),
    )


def test_each_point_says_how_far_proposed_is_ahead_of_its_controls(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "run_phantom", fake_run)
    kept = "methods=[{name: retinanet, kind: detector}, {name: trained_longer, kind: detector}]"
    preset = read_preset(CurvesPreset, "curves-phantom", [kept, "shifts=[0.5]", "pairs=[60]"])
    *_, result = run_curves(tmp_path, preset)
    text = write_curves(result, tmp_path, "curves", command="the command")
    rows = json.loads((tmp_path / "curves.json").read_text())["rows"]
    assert [(row["axis"], row["value"], row["method"]) for row in rows] == [
        (axis, value, method)
        for axis, value in (("shift", 0.5), ("pairs", 60), ("pairs", 571))
        for method in ("retinanet", "trained_longer")
    ]
    for row in rows:
        known = row["method"] == "trained_longer"
        expected = (0.125, -0.25, 0.5) if known else (None, None, None)
        assert tuple(row["proposed_minus_iou_50"].values()) == expected
    for value in ("0.5", "60", "571"):
        assert f"| {value} | trained_longer | 2 | 1 | 1.000 [1.000, 1.000] |" in text
    lines = [line for line in text.splitlines() if "| trained_longer |" in line]
    assert all("| 0.125 [-0.250, 0.500] |" in line for line in lines)
    assert (tmp_path / "curves.png").stat().st_size > 0
