"""Writing a folder of many files so that it is there as a whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_manifests.support.errors import DataError, Problem


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a new folder beside `target`; on success rename it to `target`, else remove it.

    Raises:
        DataError: `target` is a file or holds something already.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError.from_problems(
            [
                Problem(
                    str(target), "a new or empty folder", "something is there", fix="choose another"
                )
            ]
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name[:100]}.{os.getpid()}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
