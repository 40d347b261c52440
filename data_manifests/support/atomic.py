"""Writing files so that a kill or a full disk leaves the old file or the new one, never a half."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from data_manifests.support.errors import DataError
from data_manifests.support.temporary import remove_leftovers, temporary_file


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; on success fsync it and rename it to `target`.

    On any exception the temporary file is removed and `target` is as it was.

    Raises:
        OSError: the disk is full; it names `target`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_file(target)
    try:
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, target)
    except OSError as error:
        if error.filename is None and error.errno is not None:  # a full disk: name the file
            raise OSError(error.errno, error.strerror, str(target)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(target: Path, content: bytes) -> None:
    """Write `content` to `target` atomically."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def write_text(target: Path, content: str) -> None:
    """Write `content` to `target` atomically, UTF-8 with LF line ends on every system."""
    write_bytes(target, content.encode("utf-8"))


def write_json(target: Path, content: Any) -> None:  # Any: whatever json can hold
    """Write `content` as indented JSON; NaN and infinity are no JSON and raise ValueError."""
    write_text(target, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, read in blocks, as 64 hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def lock_folder(folder: Path, busy: str) -> IO[str]:
    """Make `folder` and lock it for this process until the returned file is closed.

    A lock goes with its process: one that was killed leaves none behind. Temporary files of killed
    processes in the folder are removed.

    Raises:
        DataError: another process holds the lock; `busy` says what to do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise DataError(f"{folder}: {busy}") from error
    remove_leftovers(folder)
    return lock


@contextmanager
def waiting_lock(folder: Path) -> Iterator[None]:
    """Lock `folder` for as long as the block runs, after any other process that holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
