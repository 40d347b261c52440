"""`estimate_json`, `number` and `cell`: numbers of the grounding results in JSON and in tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localize.evaluation.bootstrap import Estimate


def estimate_json(one: Estimate) -> dict[str, float | None]:
    """Mean and interval."""
    return {"mean": one.value, "low": one.low, "high": one.high}


def cell(one: Mapping[str, Any], *, signed: bool = False) -> str:
    """Mean with its interval in brackets; Any: JSON numbers."""
    if one["mean"] is None:
        return "undefined"
    low, high = number(one["low"]), number(one["high"])
    return f"{'+' if signed and one['mean'] > 0 else ''}{number(one['mean'])} [{low}, {high}]"


def number(value: float | None) -> str:
    """Three decimals without the leading zero."""
    if value is None:
        return "undefined"
    text = f"{value:.3f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 and not text.startswith("1") else text
