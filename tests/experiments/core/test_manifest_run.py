"""Runs on manifests: methods that train the detector repeat; cached parts are checked."""

from __future__ import annotations

import pytest

from data_manifests.support.errors import ConfigError
from data_manifests.tables.manifest import make_manifest
from experiments.core.manifest_run import ManifestRun
from experiments.core.presets import ManifestPreset, read_preset
from experiments.data.manifest_input import ManifestInput
from localize.pipeline import stages
from tests.localize.predictions import random_pair


class Stop(Exception):
    """Raised by the progress callable."""


def prepare(out, *overrides):
    """Prepare up to the detector."""

    def stop_after_detector(line):
        if "attributes" in line:
            raise Stop

    found = random_pair(0)[1]
    split = ["train", "train", "val", "val"] * (len(found.images) // 4)  # two films a patient
    films = make_manifest(found.images.assign(split=split), found.boxes)
    given = ManifestInput(films, films, out, out, (), "some films")
    preset = read_preset(ManifestPreset, "open", overrides)
    ManifestRun(given, out, preset, None, None).inputs(stop_after_detector)


def test_a_detector_is_trained_once_and_refused_for_other_settings(tmp_path, monkeypatch):
    trained = []

    def train(films, run, **settings):
        run.mkdir()
        trained.append(settings)

    monkeypatch.setattr(stages, "train_from_config", train)
    for _ in range(2):
        with pytest.raises(Stop):
            prepare(tmp_path)
    assert [settings["training"].epochs for settings in trained] == [10]
    with pytest.raises(ConfigError, match=r"epochs: 10 before, 3 now"):
        prepare(tmp_path, "detector_training.epochs=3")
    with pytest.raises(ConfigError, match="seed: 0 before, 1 now"):
        prepare(tmp_path, "seed=1")


def test_methods_that_train_the_detector_are_repeated():
    preset = read_preset(ManifestPreset, "open", ["trainings=3"])
    repeats = {method.name: method.repeats for method in preset.repeated_methods()}
    assert {name for name, count in repeats.items() if count == 3} == {
        "report_adapted",
        "report_adapted_proposed",
        "sides",
        "own",
        "more_steps",
    }
    assert repeats["proposed"] == repeats["retinanet"] == 1
