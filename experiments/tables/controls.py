"""How far `proposed` is from its controls, as a section of the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.core.judge import ControlDifference
from experiments.tables.rows import HEADS, KEYS, NOTHING, estimate_cell, estimate_json

Controls = Mapping[str, Sequence[ControlDifference]]  # by set of films
DIFFERENCES = {**KEYS, "film_auc": "film_auc"}


def controls_json(controls: Controls) -> dict[str, Any]:
    """The key `proposed_minus_controls` of a table's JSON; nothing without controls."""
    rows = [
        {
            "dataset": dataset,
            "control": one.control,
            **{
                f"diff_{short}": estimate_json(one.differences.get(key, NOTHING))
                for short, key in DIFFERENCES.items()
            },
        }
        for dataset, found in controls.items()
        for one in found
    ]
    return {"proposed_minus_controls": rows} if rows else {}


def controls_markdown(controls: Controls) -> list[str]:
    """The section of a table's page; no line without controls."""
    rows = [
        f"| {dataset} | {one.control} | "
        + " | ".join(
            estimate_cell(one.differences.get(key, NOTHING)) for key in DIFFERENCES.values()
        )
        + " |"
        for dataset, found in controls.items()
        for one in found
    ]
    if not rows:
        return []
    return [
        "**Proposed minus its controls**, paired: what the reports give beyond more training.",
        "",
        f"| films | control | {' | '.join(HEADS)} | film AUC |",
        "|---" * (len(HEADS) + 3) + "|",
        *rows,
        "",
    ]
