"""Presets of the package: readable, with methods that can be built, under the published names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data_manifests.support.errors import ConfigError
from experiments.core.presets import (
    AblationPreset,
    CurvesPreset,
    FilmsPreset,
    PhantomPreset,
    read_preset,
)
from experiments.methods.method import MethodSpec, build_method
from experiments.tables.ablation import _chosen, _method
from experiments.tables.table1 import LEARNED_FROM, method_readings

PUBLISHED = {
    "cam",
    "gradcam",
    "retinanet",
    "proposed_no_classification",
    "proposed_printed",
    "proposed",
    "lung_prior",
    "roi_chance",
    "best_available",
}
FURTHER = {
    "open": {"proposed_frozen", "adapted_by_sides", "adapted_by_itself", "trained_longer"},
    "paper": {"proposed_frozen"},
    "phantom": set(),
}
WITH_ATTENTION = {
    "proposed_no_classification",
    "proposed_printed",
    "proposed_frozen",
    "proposed",
    "adapted_by_sides",
}


@pytest.mark.parametrize(
    ("model", "name"), [(PhantomPreset, "phantom"), (FilmsPreset, "open"), (FilmsPreset, "paper")]
)
def test_table_presets_have_the_published_methods(model, name):
    methods = [build_method(spec) for spec in read_preset(model, name).methods]
    names = {method.name for method in methods}
    assert names == PUBLISHED | FURTHER[name]
    with_bundle = {method.name for method in methods if method.bundle is not None}
    assert with_bundle == names & WITH_ATTENTION


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (PhantomPreset, "phantom"),
        (FilmsPreset, "open"),
        (FilmsPreset, "dictation"),
        (FilmsPreset, "paper"),
    ],
)
def test_proposed_means_the_same_in_every_preset(model, name):
    (spec,) = [spec for spec in read_preset(model, name).methods if spec.name == "proposed"]
    assert (spec.kind, spec.adaptation.source) == ("adapted", "words")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (PhantomPreset, "phantom"),
        (PhantomPreset, "controlled-phantom"),
        (PhantomPreset, "controlled-finished"),
        (PhantomPreset, "controlled-many-pairs"),
        (FilmsPreset, "open"),
        (FilmsPreset, "dictation"),
        (FilmsPreset, "paper"),
    ],
)
def test_the_table_explains_every_method(model, name):
    specs = [spec.model_dump(mode="json") for spec in read_preset(model, name).methods]
    readings = method_readings(specs)
    assert {spec["name"] for spec in specs} <= set(readings)
    for spec in specs:
        if spec["kind"].startswith("adapted"):  # its own source, not a fixed sentence
            assert LEARNED_FROM[spec["adaptation"]["source"]] in readings[spec["name"]]


def test_the_phantoms_presets_share_one_work_folder():
    table, controlled = (
        read_preset(PhantomPreset, name) for name in ("phantom", "controlled-phantom")
    )
    curves = read_preset(CurvesPreset, "curves-phantom")
    ablation = read_preset(AblationPreset, "ablation-phantom")
    assert table.size == controlled.size == curves.size == ablation.size
    specs = {spec.name: spec for spec in table.methods}
    shared = [spec for spec in (*controlled.methods, *curves.methods) if spec.name in specs]
    assert {spec.name for spec in shared} == {"retinanet", "proposed"}
    assert all(spec == specs[spec.name] for spec in shared)  # else one refuses the other's folder


def test_the_controls_differ_from_proposed_in_what_they_read():
    specs = {spec.name: spec for spec in read_preset(PhantomPreset, "controlled-phantom").methods}
    proposed = specs["proposed"].adaptation
    controls = [spec for spec in specs.values() if spec.kind.startswith("adapted")]
    sources = [one.adaptation.source for one in controls]
    assert sources == ["words", "own", "none", "regions", "truth"]
    assert all(one.adaptation.training == proposed.training for one in controls)


def test_a_finished_detector_differs_from_the_controls_in_its_epochs_alone():
    short, finished = (
        read_preset(PhantomPreset, f"controlled-{name}") for name in ("phantom", "finished")
    )
    assert finished.size == replace(short.size, detector_epochs=finished.size.detector_epochs)
    assert finished.size.detector_epochs > 2 * short.size.detector_epochs
    assert finished.seeds == short.seeds
    assert all(spec in short.methods for spec in finished.methods)


def test_many_pairs_differ_from_the_finished_detector_in_the_films_of_hospital_b_alone():
    few, many = (
        read_preset(PhantomPreset, f"controlled-{name}") for name in ("finished", "many-pairs")
    )
    assert many.size == replace(few.size, films_b=many.size.films_b)
    assert many.size.films_b > 3 * few.size.films_b
    assert {spec.name for spec in many.methods} <= {spec.name for spec in few.methods}
    assert all(spec in few.methods for spec in many.methods)


def test_the_curves_compare_with_retinanet():
    preset = read_preset(CurvesPreset, "curves-phantom")
    assert "retinanet" in {spec.name for spec in preset.methods}
    assert len(preset.shifts) > 2
    assert len(preset.pairs) > 2


def test_every_variation_of_the_ablation_can_be_built_and_has_its_own_name():
    preset = read_preset(AblationPreset, "ablation-phantom")
    chosen = _chosen(preset, None)
    assert len({_method(preset.reference, one).name for one in chosen}) == len(chosen)
    changed = {name.partition("=")[0] for one in chosen for name in one.set}
    # The list; N, feature and dims are fields of their own.
    assert changed >= {
        "localizer.lambda_a",
        "localizer.softmax_axis",
        "localizer.alpha",
        "localizer.rank_by",
        "training.negatives",
        "training.target_policy",
        "training.margin",
    }
    assert {one.feature for one in chosen} >= {"fpn_roi_align"}
    assert any(one.count for one in chosen)
    assert any(one.dim for one in chosen)


def test_only_takes_known_names():
    preset = read_preset(AblationPreset, "ablation-phantom")
    assert [one.name for one in _chosen(preset, ["N 16"])] == ["N 16"]
    with pytest.raises(ConfigError, match="no such thing"):
        _chosen(preset, ["no such thing"])


def test_two_variations_of_one_name_are_refused():
    preset = read_preset(AblationPreset, "ablation-phantom")
    twice = preset.model_copy(update={"variations": preset.variations[:1] * 2})
    with pytest.raises(ConfigError, match="twice"):
        _chosen(twice, None)


def test_overrides_reach_the_preset():
    preset = read_preset(PhantomPreset, "phantom", ["seeds=[7]", "classifier.training.epochs=2"])
    assert preset.seeds == (7,)
    assert preset.classifier.training.epochs == 2


def test_an_unknown_preset_names_those_there_are():
    with pytest.raises(ConfigError, match="phantom, open, dictation, paper"):
        read_preset(PhantomPreset, "mars")


def test_a_bad_setting_of_a_method_is_refused_before_anything_is_trained():
    with pytest.raises(ConfigError, match="marginn"):
        build_method(MethodSpec(name="x", kind="attention", set=("training.marginn=1",)))
