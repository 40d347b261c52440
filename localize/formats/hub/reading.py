"""What the readers share: JSON files, fields of JSON objects, and errors with file and field."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from data_manifests.support.errors import DataError, Problem

MAX_JSON_BYTES = 1 << 30  # a million boxes take a quarter of it
MAX_SIDE = 1 << 20  # px; no film is larger


class BadField(ValueError):
    """A field that is missing or of another type; the reader turns it into a `Problem`."""

    def __init__(self, field: str, expected: str, got: object) -> None:
        super().__init__(f"{field}: expected {expected}, got {got!r:.100}")
        self.field, self.expected, self.got = field, expected, f"{got!r:.100}"

    def problem(self, file: str, where: str) -> Problem:
        """The error as a `Problem`."""
        return Problem(file, self.expected, self.got, field=f"{where} {self.field}".strip())


def load_json(path: Path) -> Any:  # Any: the reader of the format checks it
    """The content of a JSON file; NaN and infinity are refused.

    Raises:
        DataError: no such file, more than 1 GiB, or no JSON.
    """
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise file_error(path, f"JSON of at most {MAX_JSON_BYTES >> 20} MiB", "more")
        return json.loads(path.read_text("utf-8-sig"), parse_constant=_refuse)
    except FileNotFoundError as error:
        raise file_error(path, "a JSON file", "no such file") from error
    except (ValueError, RecursionError, OSError) as error:
        raise file_error(path, "JSON", str(error)[:200]) from error


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def file_error(path: Path, expected: str, got: str) -> DataError:
    """A `DataError` about a whole file."""
    return DataError.from_problems([Problem(str(path), expected, got)])


def get(row: Any, key: str, kind: type | tuple[type, ...], expected: str) -> Any:
    """A field of a JSON object, or `BadField`. Booleans are no numbers."""
    if not isinstance(row, dict):
        raise BadField("", "an object", row)
    value = row.get(key)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise BadField(key, expected, value)
    return value


def number(value: object, field: str) -> float:
    """A finite number, or `BadField`."""
    try:
        if not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value):
            return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        pass
    raise BadField(field, "a finite number", value)


def objects(row: Any, key: str) -> list[dict[str, Any]]:  # Any: JSON
    """A list of objects, empty where the field is missing or null, or `BadField`."""
    found = get(row, key, (list, type(None)), "a list of objects") or []
    for value in found:
        if not isinstance(value, dict):
            raise BadField(key, "a list of objects", value)
    return found


def mapping(row: Any, key: str) -> dict[str, Any]:  # Any: JSON
    """An object, empty where the field is missing or null, or `BadField`."""
    return get(row, key, (dict, type(None)), "an object") or {}


def film_size(row: Any, width: str, height: str) -> tuple[int, int]:  # Any: JSON
    """Two whole numbers of pixels above 0, or `BadField`."""
    sides = get(row, width, int, "the film's width"), get(row, height, int, "the film's height")
    for name, side in zip((width, height), sides, strict=True):
        if not 0 < side <= MAX_SIDE:
            raise BadField(name, f"1 to {MAX_SIDE:,} px", side)
    return sides
