"""`cached`: build a folder once; afterwards use it again, if the settings are the same."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_manifests.support.atomic import write_json
from data_manifests.support.errors import CheckpointError
from data_manifests.support.other_settings import refuse_other_settings


def cached(
    folder: Path,
    settings: Mapping[str, Any],  # Any: whatever JSON can hold
    build: Callable[[Path], object],
) -> Path:
    """Return `folder`, built by `build(folder)` unless a finished build is there.

    `settings` is everything that decides the result. It is written beside the folder, to
    `NAME.cached.json`, before the build starts, and compared with what is there in later calls. The
    build is marked as finished when `build` returns. `build` makes the folder itself. After a kill
    it is called again with the same settings and finds what the kill left: trainings resume, other
    builds overwrite their files. A folder without `NAME.cached.json` counts as unfinished; without
    the folder its `NAME.cached.json` does not count.

    Safe with several processes: one builds, the others wait for it and use its result. `build` may
    call `cached` for other folders, not for this one.

    Raises:
        ConfigError: the folder was made with other settings; the message names them.
        CheckpointError: `NAME.cached.json` is damaged.
    """
    folder = folder.absolute()  # `.` has no name
    wanted = json.loads(json.dumps(settings))
    if _is_finished(folder, wanted):
        return folder
    with _only_builder(folder):
        if _is_finished(folder, wanted):  # another process built it while this one waited
            return folder
        write_json(_description(folder), {"settings": wanted, "is_finished": False})
        build(folder)
        write_json(_description(folder), {"settings": wanted, "is_finished": True})
    return folder


def _description(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.cached.json")


def _is_finished(folder: Path, wanted: Mapping[str, Any]) -> bool:
    """Whether a finished build is there.

    Raises:
        ConfigError: a build with other settings is there, finished or not.
    """
    path = _description(folder)
    if not folder.exists() or not path.exists():
        return False
    try:
        description = json.loads(path.read_text("utf-8"))
        settings, is_finished = dict(description["settings"]), bool(description["is_finished"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: expected settings and is_finished, got {type(error).__name__}; delete it and "
            f"{folder.name} to build again"
        ) from error
    refuse_other_settings(folder, settings, wanted)
    return is_finished


@contextmanager
def _only_builder(folder: Path) -> Iterator[None]:
    """Wait until no other process builds `folder`; a killed builder leaves no lock behind."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
