"""Writing long JSON lists one element at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TextIO


def dump(value: Any) -> str:  # Any: whatever JSON can hold
    """One line of JSON; ASCII, so that any name can be written, and without NaN (ValueError)."""
    return json.dumps(value, allow_nan=False)


def write_list(handle: TextIO, elements: Iterable[Any]) -> None:  # Any: as above
    """A JSON list with one element a line."""
    handle.write("[")
    for number, element in enumerate(elements):
        handle.write(("," if number else "") + "\n" + dump(element))
    handle.write("\n]")
