"""Settings of `localize train`: defaults, presets, files and overrides, in that order."""

from __future__ import annotations

import pytest

from data_manifests.support.errors import ConfigError
from localize.training.settings import localizer_settings


def test_the_defaults_need_nothing():
    settings = localizer_settings(None, None, [])
    assert settings.localizer.alpha == "anchored"
    assert settings.training.margin == 0.8


def test_the_paper_preset_takes_the_text_literally():
    settings = localizer_settings("paper", None, [])
    assert settings.localizer.alpha == "free"
    assert settings.localizer.softmax_axis == "paper"
    assert settings.localizer.score_input == "probability"
    assert settings.training.negatives == "printed"
    assert settings.training.target_policy == "keyword"
    assert (settings.training.bce_weight, settings.training.margin) == (1.0, 0.8)


def test_overrides_win_over_the_preset_and_the_file(tmp_path):
    settings = localizer_settings("paper", None, ["training.bce_weight=0", "localizer.hidden=5"])
    assert (settings.training.bce_weight, settings.localizer.hidden) == (0.0, 5)
    assert settings.localizer.alpha == "free"
    path = tmp_path / "own.yaml"
    path.write_text("training:\n  epochs: 7\n  seed: 3\n")
    settings = localizer_settings(None, path, ["training.epochs=9"])
    assert (settings.training.epochs, settings.training.seed) == (9, 3)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.epoch=3"], "epoch"),  # no such name
        (["training.epochs=0"], "epochs"),  # out of range
        (["training.batch_size=1"], "batch_size"),  # batch negatives need a second pair
        (["localizer.alpha=fixed"], "alpha"),  # no such kind
        (["localizer.nms_iou=1.5"], "nms_iou"),  # no overlap
        (["training.lr=nan"], "lr"),  # not a number
        (["epochs"], "epochs"),  # no value
    ],
)
def test_a_bad_override_is_refused_by_name(overrides, message):
    with pytest.raises(ConfigError, match=message):
        localizer_settings(None, None, overrides)


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(ConfigError, match="one of paper, got 'best'"):
        localizer_settings("best", None, [])


def test_a_preset_and_a_file_together_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="got both"):
        localizer_settings("paper", tmp_path / "own.yaml", [])


def test_a_yaml_file_cannot_run_code(tmp_path):
    canary = tmp_path / "canary"
    path = tmp_path / "evil.yaml"
    path.write_text(f"training: !!python/object/apply:os.system ['touch {canary}']\n")
    with pytest.raises(ConfigError):
        localizer_settings(None, path, [])
    assert not canary.exists()
