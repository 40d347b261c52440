"""Presets of the package: readable, with methods under the documented names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data_manifests.support.errors import ConfigError
from experiments.core.presets import (
    AblationPreset,
    CurvesPreset,
    ManifestPreset,
    PhantomPreset,
    read_preset,
)
from experiments.methods.names import DESCRIPTIONS, PUBLISHED_NAMES, description
from experiments.methods.proposed import Proposed
from experiments.tables.ablation import chosen_variations, varied_method

PHANTOM = ("phantom", "controlled-phantom", "controlled-finished", "controlled-many-pairs")
MANIFEST = ("open", "dictation", "paper")
ALL = [(PhantomPreset, name) for name in PHANTOM] + [(ManifestPreset, name) for name in MANIFEST]
IN_TABLE_1 = {
    "cam",
    "gradcam",
    "retinanet",
    "proposed_no_classification",
    "proposed_printed",
    "proposed",
    "report_adapted",
    "report_adapted_proposed",
    "size_prior",
    "lung_prior",
    "roi_chance",
    "best_available",
}
# What each name means, whichever preset it stands in.
KINDS = {
    "retinanet": ("detector", None),
    "proposed": ("attention", None),
    "report_adapted": ("report_adapted", "words"),
    "report_adapted_proposed": ("report_adapted", "words"),
    "sides": ("report_adapted", "sides"),
    "finding": ("report_adapted", "finding"),
    "own": ("report_adapted", "own"),
    "more_steps": ("report_adapted", "none"),
    "oracle_rois": ("report_adapted", "regions"),
    "truth": ("report_adapted", "truth"),
}


@pytest.mark.parametrize(
    ("model", "name"),
    [(PhantomPreset, "phantom"), (ManifestPreset, "open"), (ManifestPreset, "paper")],
)
def test_presets_of_table_1_have_its_methods(model, name):
    names = {method.name for method in read_preset(model, name).methods}
    assert names >= IN_TABLE_1
    assert names - IN_TABLE_1 == ({"sides", "own", "more_steps"} if name == "open" else set())


@pytest.mark.parametrize(("model", "name"), ALL)
def test_a_name_means_the_same_method_in_every_preset(model, name):
    for method in read_preset(model, name).methods:
        if method.name in KINDS:
            source = getattr(method, "source", None)
            assert (method.kind, source) == KINDS[method.name]
        is_with_attention = method.name == "report_adapted_proposed"
        assert (getattr(method, "attention", None) is not None) == (
            is_with_attention or method.kind == "attention"
        )


@pytest.mark.parametrize(("model", "name"), ALL)
def test_every_method_is_described_to_the_reader(model, name):
    assert {method.name for method in read_preset(model, name).methods} <= set(DESCRIPTIONS)


def test_a_published_name_is_described_with_todays_name():
    assert description("retinanet", is_published=True) == description("retinanet")
    for old, new in PUBLISHED_NAMES.items():
        text = description(old, is_published=True)
        assert text.endswith(f" (now named `{new}`)")
        if old == "adapted_by_itself":  # the published control took half of the films
            assert "the half of the new films" in text
            assert "the half of" not in description(new)
        elif old == "proposed_frozen":  # gates came later
            assert "gates" not in text
        else:
            assert text.startswith(description(new))
    assert description("my method") is None


def test_the_phantoms_presets_share_one_output_folder():
    table, controlled = (
        read_preset(PhantomPreset, name) for name in ("phantom", "controlled-phantom")
    )
    curves = read_preset(CurvesPreset, "curves-phantom")
    ablation = read_preset(AblationPreset, "ablation-phantom")
    assert table.size == controlled.size == curves.size == ablation.size
    assert table.adaptation == controlled.adaptation == curves.adaptation
    methods = {method.name: method for method in table.methods}
    shared = [one for one in (*controlled.methods, *curves.methods) if one.name in methods]
    assert {one.name for one in shared} == {
        "retinanet",
        "report_adapted",
        "report_adapted_proposed",
    }
    assert all(one == methods[one.name] for one in shared)  # else their folder is refused


def test_a_finished_detector_differs_from_the_controls_in_its_epochs_alone():
    short, finished = (
        read_preset(PhantomPreset, f"controlled-{name}") for name in ("phantom", "finished")
    )
    assert finished.size == replace(short.size, detector_epochs=finished.size.detector_epochs)
    assert finished.size.detector_epochs > 2 * short.size.detector_epochs
    assert finished.seeds == short.seeds
    assert all(method in short.methods for method in finished.methods)


def test_many_pairs_differ_from_the_finished_detector_in_the_films_of_hospital_b_alone():
    few, many = (
        read_preset(PhantomPreset, f"controlled-{name}") for name in ("finished", "many-pairs")
    )
    assert many.size == replace(few.size, films_b=many.size.films_b)
    assert many.size.films_b > 3 * few.size.films_b
    assert many.methods == few.methods


def test_every_variation_of_the_ablation_can_be_built_and_has_its_own_name():
    preset = read_preset(AblationPreset, "ablation-phantom")
    chosen = chosen_variations(preset, None)
    methods = [varied_method(preset.reference, one) for one in chosen]
    assert len({method.name for method in methods}) == len(chosen)
    reference = preset.reference.attention.with_seed(0)
    for variation, method in zip(chosen, methods, strict=True):
        assert (method.attention.with_seed(0) != reference) == bool(variation.set)


def test_only_takes_known_names():
    preset = read_preset(AblationPreset, "ablation-phantom")
    assert [one.name for one in chosen_variations(preset, ["N 16"])] == ["N 16"]
    with pytest.raises(ConfigError, match="no such thing"):
        chosen_variations(preset, ["no such thing"])


def test_two_variations_of_one_name_are_refused():
    preset = read_preset(AblationPreset, "ablation-phantom")
    twice = preset.model_copy(update={"variations": preset.variations[:1] * 2})
    with pytest.raises(ConfigError, match="twice"):
        chosen_variations(twice, None)


def test_overrides_reach_the_preset():
    preset = read_preset(PhantomPreset, "phantom", ["seeds=[7]", "classifier.training.epochs=2"])
    assert preset.seeds == (7,)
    assert preset.classifier.training.epochs == 2


def test_an_unknown_preset_names_those_there_are():
    with pytest.raises(ConfigError, match="phantom, open, dictation, siim, paper"):
        read_preset(PhantomPreset, "mars")


def test_a_bad_setting_of_a_method_is_refused_when_it_is_built():
    with pytest.raises(ConfigError, match="marginn"):
        Proposed(name="x", attention={"set": ["training.marginn=1"]})
