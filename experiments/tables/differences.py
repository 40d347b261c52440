"""Paired differences between methods, in a table's JSON and on its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.core.evaluate_methods import MethodDifference
from experiments.tables.rows import HEADS, KEYS, NOTHING, estimate_cell, estimate_json
from localize.evaluation.bootstrap import Estimate

METRICS = {**KEYS, "film_auc": "film_auc"}


def differences_json(differences: Sequence[MethodDifference]) -> list[dict[str, Any]]:
    """One object for each pair of methods and metric: the key `diffs` of a table's JSON."""
    return [
        {"dataset": one.dataset, "a": one.a, "b": one.b, "metric": short}
        | estimate_json(one.by_metric.get(key, NOTHING))
        for one in differences
        for short, key in METRICS.items()
    ]


def read_differences(content: Mapping[str, Any]) -> list[MethodDifference]:
    """The differences of a table's JSON; published tables have `proposed_minus_controls`."""
    found: dict[tuple[str, str, str], dict[str, Estimate]] = {}
    for row in content.get("diffs", ()):
        by_metric = found.setdefault((row["dataset"], row["a"], row["b"]), {})
        by_metric[METRICS[row["metric"]]] = read_estimate(row)
    for row in content.get("proposed_minus_controls", ()):
        found[row["dataset"], "proposed", row["control"]] = {
            key: read_estimate(row[f"diff_{short}"]) for short, key in METRICS.items()
        }
    return [MethodDifference(*names, by_metric) for names, by_metric in found.items()]


def read_estimate(content: Mapping[str, Any]) -> Estimate:
    """The inverse of `estimate_json`."""
    return Estimate(content["mean"], content["low"], content["high"])


def differences_markdown(differences: Sequence[MethodDifference]) -> list[str]:
    """The section of a table's page; no lines without differences."""
    if not differences:
        return []
    return [
        "**Minus the controls**, paired: what the reports add to more training.",
        "",
        f"| films | method | minus | {' | '.join(HEADS)} | film AUC |",
        "|---" * (len(HEADS) + 4) + "|",
        *(
            f"| {one.dataset} | {one.a} | {one.b} | "
            + " | ".join(estimate_cell(one.by_metric.get(key, NOTHING)) for key in METRICS.values())
            + " |"
            for one in differences
        ),
        "",
    ]
