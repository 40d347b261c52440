"""File names of films in exports, and safe names of the files written for them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from data_manifests.support.errors import DataError, Problem

# A name may hold dots (DICOM UIDs), so only these endings are taken for an extension.
IMAGE_SUFFIXES = ".png .jpg .jpeg .dcm .dicom .dic .bmp .tif .tiff .webp .gif .nii .mha".split()
# Control characters, and those that Windows refuses.
UNSAFE = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|\ud800-\udfff]')
WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
MAX_PART_BYTES = 150


def film_names(paths: Iterable[str], image_ids: Iterable[str], image_root: str = "") -> list[str]:
    """The name of each film in exports: its path inside `image_root`, with `/`.

    A film outside `image_root`, or with an absolute path and no `image_root`, is named by its file
    name, so that no folder of this computer is in an export. A blank path gives the image id.

    Raises:
        DataError: two films would get one name.
    """
    root = Path(image_root).resolve() if image_root else None
    names = []
    for path, image_id in zip(paths, image_ids, strict=True):
        names.append(_film_name(str(path), root) if path else str(image_id))
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = sorted({name for name in names if name in seen or seen.add(name)})  # type: ignore[func-returns-value]  # set.add returns None, which is the point
        raise DataError.from_problems(
            [
                Problem(
                    "images.csv",
                    "one name for each film",
                    f"several films called {name!r}",
                    field="path",
                    fix="give the folder that all films lie in (--image-root)",
                )
                for name in twice
            ]
        )
    return names


def _film_name(path: str, root: Path | None) -> str:
    if root is not None:
        resolved = Path(path).resolve()
        if resolved.is_relative_to(root):
            return resolved.relative_to(root).as_posix()
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
        self._counts = Counter(self._plain(name).casefold() for name in names)

    def of(self, name: str) -> str:
        """The path for a film's name, such as `ward-1/film` for `ward-1/film.png`."""
        stem = split_suffix(name)[0]
        plain = self._plain(name)
        unchanged = stem.replace(".", "_") if self._replace_dots else stem
        if plain == unchanged and self._counts[plain.casefold()] <= 1:
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
