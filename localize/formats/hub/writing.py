"""What the writers share: whole folders, JSON lists, XML text, whole corners."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO
from xml.sax.saxutils import escape, quoteattr  # only writing: bandit's B406 is about parsing

from data_manifests.support.errors import DataError, Problem
from data_manifests.support.temporary import temporary_folder

ENCODER = json.JSONEncoder(allow_nan=False)  # made once: half the time of `json.dumps`
# Characters that XML 1.0 cannot hold, even escaped (https://www.w3.org/TR/xml/#charsets).
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a new folder beside `target`; on success rename it to `target`, else remove it.

    Raises:
        DataError: `target` is a file, or a folder with files in it.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        problem = Problem(
            str(target),
            "a new or empty folder",
            "a folder with files" if target.is_dir() else "a file",
            fix="choose another name",
        )
        raise DataError.from_problems([problem])
    target.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(target.name, target.parent) as name:
        building = Path(name) / target.name
        building.mkdir()
        yield building
        os.replace(building, target)


def json_line(value: Any) -> str:  # Any: whatever JSON can hold
    """One line of JSON in ASCII, so that any name can be written. NaN raises ValueError."""
    return ENCODER.encode(value)


def write_json_list(handle: TextIO, elements: Iterable[Any]) -> None:  # Any: as above
    """Write a JSON list, one element a line, with one element in memory."""
    write_json_lines(handle, map(json_line, elements))


def write_json_lines(handle: TextIO, lines: Iterable[str]) -> None:
    """Write a JSON list whose elements are JSON texts already."""
    handle.write("[")
    for number, line in enumerate(lines):
        handle.write(("," if number else "") + "\n" + line)
    handle.write("\n]")


def xml_text(content: str) -> str:
    """Escaped content of an XML element; characters that XML cannot hold become U+FFFD."""
    return escape(FORBIDDEN.sub("\ufffd", content))


def xml_attribute(content: str) -> str:
    """An escaped XML attribute value, quotes included; otherwise as `xml_text`."""
    return quoteattr(FORBIDDEN.sub("\ufffd", content))


def whole_corners(xyxy: list[float]) -> list[int]:
    """The nearest whole corners x1, y1, x2, y2, at least one pixel apart."""
    x1, x2 = _whole(xyxy[0], xyxy[2])
    y1, y2 = _whole(xyxy[1], xyxy[3])
    return [x1, y1, x2, y2]


def _whole(low: float, high: float) -> tuple[int, int]:
    if round(low) < round(high):
        return round(low), round(high)
    # Thinner than a pixel: take the pixel that it begins in, which is inside the film.
    return math.floor(low), math.floor(low) + 1
