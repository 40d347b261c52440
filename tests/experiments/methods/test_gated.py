"""`Gated`: one gate for methods that share it, controls apart, from the detector that is named."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from experiments.methods import gated
from experiments.methods.gated import Gated
from experiments.methods.proposed import AttentionSettings
from tests.experiments.methods_for_tests import make_inputs


class Films:
    def split(self, name):
        assert name == "train"
        return self


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """What `gate_detector` was called with, and the inputs."""
    calls, places = [], []

    def gate(start, films, mined, out, *, settings, device, boxed, maps, shuffle_seed, sides_alone):
        out.mkdir(parents=True)
        calls.append((start, out, settings.training.seed, maps, shuffle_seed))
        places.append((boxed, sides_alone))

    monkeypatch.setattr(gated, "gate_detector", gate)
    monkeypatch.setattr(gated, "manifest_sha256", lambda films: "films")
    monkeypatch.setattr(gated, "load_detector", lambda path: SimpleNamespace(sha256=path.name))
    inputs = make_inputs(tmp_path / "out")
    inputs.parts.__dict__["pairs"] = Films()
    inputs.__dict__["boxed"] = Films()
    return calls, inputs, places


def test_methods_with_one_gate_train_it_once_and_the_control_its_own(trained):
    calls, inputs, places = trained
    alone = Gated(name="proposed")
    packed = Gated(name="proposed_bundle", attention=AttentionSettings())
    control = Gated(name="proposed_shuffled", reports="shuffled")
    first, second, third = (one.train_detector(inputs) for one in (alone, packed, control))
    assert first == second != third
    (start, out, seed, maps, shuffle), (_, other_out, _, other_maps, other_shuffle) = calls
    assert (start, out, seed, shuffle) == (inputs.parts.detector, first, 5, None)
    assert (other_out, other_shuffle) == (third, 5)
    assert maps == other_maps  # the same films under the same detector
    assert places == [(None, False)] * 2


def test_with_boxes_the_old_hospitals_training_films_teach_what_words_mean(trained):
    _, inputs, places = trained
    plain = Gated(name="proposed_rois").train_detector(inputs)
    by_boxes = Gated(name="proposed", boxes=True).train_detector(inputs)
    assert plain != by_boxes == inputs.out / "gated_boxes_own" / "detector"
    sides = Gated(name="proposed_sides", boxes=True, reports="sides").train_detector(inputs)
    assert sides == inputs.out / "gated_boxes_sides" / "detector"
    assert places == [(None, False), (inputs.boxed, False), (inputs.boxed, True)]


def test_the_oracle_is_taught_by_true_boxes_and_by_no_report(trained, monkeypatch):
    calls, inputs, _ = trained
    taught = []

    def teach(detector, films, out, settings, maps, device):
        out.mkdir(parents=True)
        taught.append((detector, maps.name))

    monkeypatch.setattr(gated, "teach_by_truth", teach)
    Gated(name="proposed_truth", reports="truth").train_detector(inputs)
    assert (calls, taught) == ([], [(inputs.parts.detector, "gate_maps")])


def test_a_gate_on_an_adapted_detector_starts_there(trained):
    calls, inputs, _ = trained
    folder = Gated(name="report_adapted_gated", on="places").train_detector(inputs)
    ((start, out, _, maps, _),) = calls
    assert start == inputs.out / "adapted" / "places" / "detector"
    assert out == folder == inputs.out / "gated_places_own" / "detector"
    assert maps.name == "gate_maps_places"
