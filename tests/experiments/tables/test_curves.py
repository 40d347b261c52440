"""The files of the curves: every point with its gain, and the difference to its controls."""

from __future__ import annotations

import json

from experiments.core.evaluate_methods import MethodDifference
from experiments.core.phantom_run import PhantomResult
from experiments.core.presets import CurvesPreset, read_preset
from experiments.tables import curves as module
from experiments.tables.curves import Curves, run_curves, write_curves
from localize.evaluation.bootstrap import Estimate
from localize.evaluation.evaluate import evaluate
from tests.localize.predictions import make_prediction, make_truth

BOX = (10.0, 10.0, 60.0, 60.0)
MORE_STEPS = Estimate(0.125, -0.25, 0.5)


def fake_run(run, methods, seeds, **_):
    """A run whose methods all find the one box; the difference to one control is given."""
    ids = ["a", "b"]
    truth = make_truth(ids, [("a", *BOX)])
    prediction = make_prediction(ids, [("a", *BOX, 0.9)])
    found = evaluate(prediction, truth, replicates=100, baseline=prediction)
    difference = MethodDifference(
        "films", "report_adapted_proposed", "more_steps", {"iou_at_0.5": MORE_STEPS}
    )
    return PhantomResult(
        evaluations={method.name: found for method in methods},
        differences=[difference],
        predictions={},
        sides={},
        truth=truth,
        methods=tuple(methods),
        pairs=float(run.pairs or 571),
    )


def test_each_point_has_its_difference_to_the_report_adapted_method(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "run_phantom", fake_run)
    methods = "methods=[{name: retinanet, kind: detector}, {name: more_steps, kind: detector}]"
    overrides = [methods, "shifts=[0.5]", "pairs=[60]"]
    preset = read_preset(CurvesPreset, "curves-phantom", overrides)
    curves = run_curves(tmp_path, preset, command="the command")
    text = write_curves(curves, tmp_path, "curves")
    content = json.loads((tmp_path / "curves.json").read_text())
    assert [(row["axis"], row["value"], row["method"]) for row in content["rows"]] == [
        (axis, value, method)
        for axis, value in (("shift", 0.5), ("pairs", 60), ("pairs", 571))
        for method in ("retinanet", "more_steps")
    ]
    for row in content["rows"]:
        known = row["method"] == "more_steps"
        expected = (0.125, -0.25, 0.5) if known else (None, None, None)
        assert tuple(row["proposed_minus_iou_50"].values()) == expected
    for value in ("0.5", "60", "571"):
        assert f"| {value} | more_steps | 2 | 1 | 1.000 [1.000, 1.000] |" in text
    lines = [line for line in text.splitlines() if "| more_steps |" in line]
    assert all("| 0.125 [-0.250, 0.500] |" in line for line in lines)
    assert Curves.from_json(content).as_json()["rows"] == content["rows"]
