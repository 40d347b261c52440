"""`temporary_folder`: a folder for a while; what killed processes left behind is removed.

A killed process cannot remove its temporary files. Their names carry machine and process, as
`.NAME.MACHINE-PID.tmp`, so that the next command can see that nobody uses them any more.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

LEFTOVER = re.compile(r"\..+\.(?P<machine>[0-9a-f]{8})-(?P<pid>\d+)(\.\w+)?\.tmp(\.\w+)?")


def temporary_folder(name: str, parent: Path | None = None) -> tempfile.TemporaryDirectory[str]:
    """A private folder in `parent`, by default the system's for temporary files.

    Use as a context manager, or call its `cleanup`.
    """
    parent = parent or Path(tempfile.gettempdir())
    remove_leftovers(parent)
    prefix = f".{name[:100]}.{_machine()}-{os.getpid()}."
    return tempfile.TemporaryDirectory(dir=parent, prefix=prefix, suffix=".tmp")


def temporary_file(target: Path) -> Path:
    """A name beside `target` for this process; the suffix stays, since writers look at it."""
    _remove_leftovers_once(target.parent)
    return target.with_name(f".{target.stem[:100]}.{_machine()}-{os.getpid()}.tmp{target.suffix}")


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files and folders in `folder` whose process ran on this machine and is gone.

    Those of other machines (a shared disk) and other users stay.
    """
    with suppress(OSError):  # a folder that does not exist, or that may not be listed
        for entry in os.scandir(folder):
            found = LEFTOVER.fullmatch(entry.name)
            if found is None or found["machine"] != _machine() or _is_alive(int(found["pid"])):
                continue
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)


@lru_cache(maxsize=1024)
def _remove_leftovers_once(folder: Path) -> None:
    """Not for each file: a folder of a million films takes seconds to list."""
    remove_leftovers(folder)


@lru_cache(maxsize=1)
def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    try:
        state = (
            Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
        )
    except (OSError, IndexError):  # no Linux
        return True
    return state != "Z"  # dead, and its parent has not asked for its exit code
