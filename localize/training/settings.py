"""`localizer_settings`: defaults, then a preset, then a YAML file, then `--set` overrides."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from data_manifests.support.errors import ConfigError
from data_manifests.support.settings import load_settings
from detector.config import Frozen
from localize.network.config import LocalizerConfig, LocalizeTrainConfig

PRESETS = ("paper",)


class LocalizerSettings(Frozen):
    """The settings of `localize train`: the network and its training."""

    localizer: LocalizerConfig = LocalizerConfig()
    training: LocalizeTrainConfig = LocalizeTrainConfig()


def localizer_settings(
    preset: str | None, path: Path | None, overrides: Sequence[str]
) -> LocalizerSettings:
    """Settings from a preset or a YAML file, with overrides.

    Raises:
        ConfigError: an unknown preset, both a preset and a file, or a bad setting.
    """
    if preset is None:
        return load_settings(LocalizerSettings, path, overrides)
    if preset not in PRESETS:
        raise ConfigError(f"--preset: expected one of {', '.join(PRESETS)}, got {preset!r}")
    if path is not None:
        raise ConfigError("expected --preset or --config, got both; copy the preset's file")
    file = resources.files("localize.presets") / f"{preset}.yaml"
    with resources.as_file(file) as preset_path:
        return load_settings(LocalizerSettings, preset_path, overrides)
