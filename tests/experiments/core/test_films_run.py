"""Runs on manifests: adaptations are trained several times, and compared with their controls."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from experiments.core.films_run import film_method, film_prediction, prepare_films
from experiments.core.judge import control_differences, judge_methods
from experiments.core.road import Road, TestSet

from data_manifests.support.errors import ConfigError
from experiments.core.presets import FilmsPreset, read_preset
from experiments.methods.method import BASELINE, PROPOSED, Method, MethodSpec, method_prediction
from localize.evaluation.evaluate import evaluate
from tests.localize.predictions import random_pair

FILMS = 12


def other_scores(seed):
    """The boxes of `random_pair(0)` in another order of score."""
    prediction, _ = random_pair(0, films=FILMS)
    random = np.random.default_rng(seed)
    prediction.boxes["score"] = random.random(len(prediction.boxes))
    return prediction


def nothing(road, test):
    raise AssertionError("predictions are given")


def by_seed(road, test):
    return other_scores(road.seed)


def test_each_training_has_its_seed_and_its_folder(tmp_path):
    _, truth = random_pair(0, films=FILMS)
    road = Road(None, truth, tmp_path, 5, torch.device("cpu"), None)
    method = Method("proposed", "given", "proposed", by_seed, draws=3, adapts=True)
    found = film_prediction(method, road, TestSet("films", "films", truth))
    assert found.images["image_id"].str.split(":").str[0].value_counts().to_dict() == {
        "draw-0": FILMS,
        "draw-1": FILMS,
        "draw-2": FILMS,
    }
    folders = {path.parent.relative_to(tmp_path) for path in tmp_path.rglob("prediction.json")}
    assert {str(folder) for folder in folders} == {
        "proposed/films",
        "training_1/proposed/films",
        "training_2/proposed/films",
    }
    evaluated = judge_methods({"proposed": found}, [method], truth)["proposed"]
    parts = [evaluate(other_scores(5 + k), truth, replicates=0) for k in range(3)]
    mean = np.mean([part.value("iou_at_0.5") for part in parts])
    assert evaluated.value("iou_at_0.5") == pytest.approx(mean)


def test_a_prediction_serves_no_other_kind_under_its_name(tmp_path):
    _, truth = random_pair(0, films=FILMS)
    road = Road(None, truth, tmp_path, 5, torch.device("cpu"), None)
    test = TestSet("films", "films", truth)
    made = method_prediction(Method("proposed", "attention", "proposed", by_seed), road, test)
    again = method_prediction(Method("proposed", "attention", "proposed", nothing), road, test)
    pd.testing.assert_frame_equal(again.boxes, made.boxes, check_dtype=False)
    with pytest.raises(ConfigError, match="kind attention then, adapted now"):
        method_prediction(Method("proposed", "adapted", "proposed", by_seed), road, test)


def test_a_detector_of_other_settings_is_refused(tmp_path):
    def prepare(*overrides):
        preset = read_preset(FilmsPreset, "open", overrides)
        steps = prepare_films(None, tmp_path, preset=preset, backbone_weights=None, device=None)
        return next(steps)

    (tmp_path / "detector").mkdir()
    (tmp_path / "detector" / "detector.safetensors").touch()
    assert prepare() == prepare() == "attributes and word vectors of the reports"
    with pytest.raises(ConfigError, match=r"detector_training\.epochs 10 then, 3 now"):
        prepare("detector_training.epochs=3")
    with pytest.raises(ConfigError, match="seed 0 then, 1 now"):
        prepare("seed=1")


@pytest.mark.parametrize(
    ("kind", "draws"), [("adapted", 3), ("adapted_detector", 3), ("attention", 1), ("detector", 1)]
)
def test_adaptations_alone_are_repeated(kind, draws):
    assert film_method(MethodSpec(name="one", kind=kind), 3).draws == draws


def test_proposed_is_compared_with_every_other_adaptation():
    _, truth = random_pair(0, films=FILMS)
    methods = [
        Method(BASELINE, "given", BASELINE, nothing),
        Method(PROPOSED, "given", PROPOSED, nothing, adapts=True),
        Method("by_itself", "given", "by_itself", nothing, adapts=True),
        Method("frozen", "given", "frozen", nothing),
        Method("longer", "given", "longer", nothing, adapts=True),
    ]
    predictions = {one.name: other_scores(k) for k, one in enumerate(methods)}
    values = {
        name: evaluate(one, truth, replicates=0).value("iou_at_0.5")
        for name, one in predictions.items()
    }
    found = control_differences(predictions, methods, truth)
    assert [one.control for one in found] == ["by_itself", "longer"]
    for one in found:
        difference = one.differences["iou_at_0.5"]
        assert difference.value == pytest.approx(values[PROPOSED] - values[one.control])
        assert difference.low <= difference.value <= difference.high
    assert len(set(values.values())) > 2


@pytest.mark.parametrize("adapts", [False, None])
def test_nothing_is_compared_without_an_adapted_proposed(adapts):
    prediction, truth = random_pair(0, films=FILMS)
    methods = [Method("by_itself", "given", "by_itself", nothing, adapts=True)]
    if adapts is not None:
        methods.append(Method(PROPOSED, "given", PROPOSED, nothing, adapts=adapts))
    predictions = {one.name: prediction for one in methods}
    assert control_differences(predictions, methods, truth) == []
