"""What the readers share: JSON files, fields of JSON objects, and errors with file and field."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from data_manifests.support.errors import DataError, Problem


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
        DataError: no such file, or no JSON.
    """
    try:
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
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadField(field, "a finite number", value)
    return float(value)
