"""File names of films in exports, and safe names of the files written for them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from data_manifests.support.arrays import Ints
from data_manifests.support.errors import DataError, Problem

# A name may hold dots (DICOM UIDs), so only these endings are taken for an extension.
IMAGE_SUFFIXES = ".png .jpg .jpeg .dcm .dicom .dic .bmp .tif .tiff .webp .gif .nii .mha".split()
# Control characters, and those that Windows refuses.
UNSAFE = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|\ud800-\udfff]')
WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
MAX_PART_BYTES = 150
PLAIN = re.compile(r"[^/.][^/]*(/[^/.][^/]*)*")  # a relative path without `.`, `..` and `//`


def film_names(paths: Iterable[str], image_ids: Iterable[str], image_root: str = "") -> list[str]:
    """The name of each film in exports: its path inside `image_root`, with `/`.

    A film outside `image_root`, or with an absolute path and no `image_root`, is named by its file
    name, so that no folder of this computer is in an export. A blank path gives the image id.

    Raises:
        DataError: two films would get one name.
    """
    root = Path(image_root).resolve() if image_root else None
    names = [
        film_name(str(path), str(image_id), root)
        for path, image_id in zip(paths, image_ids, strict=True)
    ]
    refuse_equal_names(lambda: names)
    return names


def refuse_equal_names(names: Callable[[], Iterable[str]]) -> None:
    """Raise where two films have one name; `names` starts a new pass over all names.

    Raises:
        DataError: see `film_names`.
    """
    problems = [
        Problem(
            "images.csv",
            "one name for each film",
            f"several films called {name!r}",
            field="path",
            fix="give the folder that all films lie in (--image-root)",
        )
        for name in sorted(repeated_names(names))
    ]
    if problems:
        raise DataError.from_problems(problems)


def repeated_names(names: Callable[[], Iterable[str]]) -> set[str]:
    """The names that come more than once; 8 bytes of memory for each of the others.

    `names` starts a new pass over all of them.
    """
    shared = _shared_hashes(names())
    seen: set[str] = set()
    twice: set[str] = set()
    if shared:
        for name in names():
            if _hash(name) in shared:
                (twice if name in seen else seen).add(name)
    return twice


def _shared_hashes(names: Iterable[str]) -> frozenset[int]:
    """The hashes that come more than once."""
    hashes: Ints = np.fromiter(map(_hash, names), np.int64)
    hashes.sort()
    return frozenset(hashes[1:][hashes[1:] == hashes[:-1]].tolist())


def _hash(name: str) -> int:
    """64 bits, signed; the same in every process."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def film_name(path: str, image_id: str, root: Path | None) -> str:
    """The name of one film; see `film_names`, of which `root` is the resolved `image_root`."""
    if not path:
        return image_id
    if root is not None:
        resolved = Path(path).resolve()
        if resolved.is_relative_to(root):
            return resolved.relative_to(root).as_posix()
    if PLAIN.fullmatch(path):
        return path  # what the lines below give, twenty times as fast
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        return pure.name
    return pure.as_posix()


def split_suffix(name: str) -> tuple[str, str]:
    """A film's name without and with only its extension; `1.2.840.1` has none."""
    for suffix in IMAGE_SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)], name[-len(suffix) :]
    return name, ""


class SafeNames:
    """Gives each film a relative path for its own file, without extension.

    A harmless name stays as it is, subfolders included. Parts with `..`, control characters, signs
    that Windows refuses or more than 150 bytes are changed, and the path gets a hash of the name;
    so do all names that would fall together (also on a file system that ignores case). The path of
    a film therefore depends on the set of names, not on their order.

    Args:
        names: of all films.
        replace_dots: also turn dots into `_`.
    """

    def __init__(self, names: Iterable[str], *, replace_dots: bool = False) -> None:
        self._replace_dots = replace_dots
        # A hash that two names share by chance only gives both their longer path.
        self._shared = _shared_hashes(self._plain(name).casefold() for name in names)

    def of(self, name: str) -> str:
        """The path for a film's name, such as `ward-1/film` for `ward-1/film.png`."""
        stem = split_suffix(name)[0]
        plain = self._plain(name)
        unchanged = stem.replace(".", "_") if self._replace_dots else stem
        if plain == unchanged and _hash(plain.casefold()) not in self._shared:
            return plain
        return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:10]}"

    def _plain(self, name: str) -> str:
        parts = [part for part in split_suffix(name)[0].split("/") if part not in ("", ".")]
        return "/".join(self._part(part) for part in parts) or "film"

    def _part(self, part: str) -> str:
        cleaned = UNSAFE.sub("_", part.replace("..", "__") if part.strip(".") == "" else part)
        if self._replace_dots:
            cleaned = cleaned.replace(".", "_")
        cleaned = cleaned.strip(" ") or "_"
        if WINDOWS_DEVICES.match(cleaned) or cleaned.startswith("-"):
            cleaned = f"_{cleaned}"
        return cleaned.encode("utf-8")[:MAX_PART_BYTES].decode("utf-8", "ignore")


def film_file(name: str, path: str, image_root: Path | None) -> Path:
    """The file of a film: `image_root` / `name`, else `path`, else `name`.

    Raises:
        DataError: there is no such file.
    """
    file = Path(path or name) if image_root is None else image_root / name
    if not file.is_file():
        problem = Problem(
            "films",
            f"the file of film {name!r}",
            "no such file",
            fix="give the folder of the films (--image-root)",
        )
        raise DataError.from_problems([problem])
    return file
