"""Runs on manifests: methods that train the detector repeat; cached parts are checked."""

from __future__ import annotations

import pytest

from data_manifests.support.errors import ConfigError
from experiments.core.manifest_run import prepare_input
from experiments.core.presets import ManifestPreset, read_preset
from localize.pipeline.cached import cached


class Stop(Exception):
    """Raised by the progress callable."""


def prepare(out, films, *overrides):
    """Prepare up to the word vectors."""

    def stop_after_detector(line):
        if "attributes" in line:
            raise Stop

    preset = read_preset(ManifestPreset, "open", overrides)
    prepare_input(
        films,
        out,
        preset=preset,
        backbone_weights=None,
        device=None,
        progress=stop_after_detector,
    )


def test_a_detector_of_other_settings_is_refused(tmp_path):
    preset = read_preset(ManifestPreset, "open")
    training = preset.detector_training.model_dump(mode="json")
    cached(
        tmp_path / "detector",
        {"config": preset.detector.model_dump(mode="json"), **training},
        lambda folder: (folder / "detector.safetensors").touch(),
    )
    with pytest.raises(Stop):
        prepare(tmp_path, None)
    with pytest.raises(ConfigError, match=r"epochs: 10 before, 3 now"):
        prepare(tmp_path, None, "detector_training.epochs=3")
    with pytest.raises(ConfigError, match="seed: 0 before, 1 now"):
        prepare(tmp_path, None, "seed=1")


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
