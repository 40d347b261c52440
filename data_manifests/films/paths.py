"""`locate_films`: from a manifest's relative paths to files, never outside the image root."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from data_manifests.support.errors import Problem


@dataclass(frozen=True)
class LocatedFilms:
    """The film files of a manifest, one for each row of `images`.

    `paths` are absolute, with links resolved; `is_file` says which of them exist; `problems` names
    the paths that lead out of the image root.
    """

    paths: tuple[Path, ...]
    is_file: tuple[bool, ...]
    problems: tuple[Problem, ...]


def locate_films(root: Path, relative_paths: Iterable[str]) -> LocatedFilms:
    """Resolve `path` values below `root`, following links once for each folder.

    A million films lie in few folders, so resolving a folder once and asking the system for each
    file with one call takes seconds where `Path.resolve` for each film takes minutes.
    """
    root_real = os.path.realpath(root)
    folders: dict[str, str] = {}
    paths, is_file, problems = [], [], []
    for row, relative in enumerate(relative_paths):
        head, tail = os.path.split(relative)
        if head not in folders:
            folders[head] = os.path.realpath(os.path.join(root_real, head))
        path = os.path.join(folders[head], tail)
        exists = False
        try:
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                path = os.path.realpath(path)
                mode = os.stat(path).st_mode
            exists = stat.S_ISREG(mode)
        except (OSError, ValueError):  # ValueError: a NUL byte in the name
            pass
        if not _is_below(path, root_real) or os.path.isabs(relative) or tail in ("..", "."):
            problems.append(_outside(row, relative))
            exists = False
        paths.append(Path(path))
        is_file.append(exists)
    return LocatedFilms(tuple(paths), tuple(is_file), tuple(problems))


def _is_below(path: str, root: str) -> bool:
    return path.startswith(root.rstrip(os.sep) + os.sep)


def _outside(row: int, relative: str) -> Problem:
    return Problem(
        file="images.csv",
        row=row + 2,
        field="path",
        expected="a path inside the image root",
        got=repr(relative[:200]),
        fix="make it relative, or set image_root in manifest.json",
    )
