"""`refuse_other_settings`: stop before a folder made with other settings is used or continued."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from data_manifests.support.errors import ConfigError

Settings = Mapping[str, Any]  # Any: whatever JSON can hold, also nested


def refuse_other_settings(
    folder: Path, before: Settings, now: Settings, *, ignored: Collection[str] = ()
) -> None:
    """Compare the settings that a folder was made with and those of this call.

    Every setting of `now` must be the same in `before`, whatever else is in there. `ignored` names
    settings that do not change the result (`workers`), at any depth.

    Raises:
        ConfigError: some differ; the message gives each name with both values.
    """
    there = _flat(before)
    changed = [
        f"{name}: {there.get(name)!r} before, {value!r} now"
        for name, value in _flat(now).items()
        if there.get(name) != value and name.rpartition(".")[2] not in ignored
    ]
    if changed:
        raise ConfigError(
            f"{folder}: was made with other settings ({'; '.join(changed)}); use the same, "
            "choose another folder, or delete this one"
        )


def _flat(settings: Settings, prefix: str = "") -> dict[str, Any]:
    """Nested settings as one table, `{"training": {"lr": 1}}` as `{"training.lr": 1}`."""
    table: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            table |= _flat(value, f"{prefix}{name}.")
        else:  # JSON has lists only
            table[f"{prefix}{name}"] = list(value) if isinstance(value, tuple) else value
    return table
