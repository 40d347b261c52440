"""`keep_settings`: a finished part of a work folder serves only who asks for the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_manifests.support.atomic import write_json
from data_manifests.support.errors import ConfigError
from localize.bundle.bundle import read_json

Settings = Mapping[str, Any]  # Any: whatever JSON holds


def keep_settings(file: Path, wanted: Settings) -> None:
    """Write what a folder is made with into `file`, or compare with what is there.

    Raises:
        ConfigError: the folder was made with other settings.
    """
    if file.exists():
        refuse_other_settings(file.parent, read_json(file), wanted)
    else:
        write_json(file, wanted)


def refuse_other_settings(place: Path, made: Settings, wanted: Settings) -> None:
    """Compare what a folder was made with and what is asked for.

    Raises:
        ConfigError: they differ; names the settings with both values.
    """
    changed = [
        f"{name} {made.get(name)} then, {value} now"
        for name, value in wanted.items()
        if made.get(name) != value
    ]
    if changed:
        raise ConfigError(
            f"{place}: was made with other settings ({'; '.join(changed)}); delete the folder, or "
            "choose another --out"
        )
