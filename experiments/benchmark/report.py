"""`write_benchmark`: rows into `benchmark.json`, `benchmark.md` and the plots of growth."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from data_manifests.support.atomic import atomic_path, write_json, write_text
from data_manifests.support.errors import DataError
from detector.run.provenance import provenance
from experiments.benchmark.rows import BenchmarkRow

JSON, MARKDOWN = "benchmark.json", "benchmark.md"
COMMAND = "pneumoloc experiment benchmark --results docs/results"
GROWTHS = ("manifest_check", "export")
Row = dict[str, Any]  # Any: text, numbers and the detail's mapping


def write_benchmark(rows: Sequence[BenchmarkRow], folder: Path) -> str:
    """Write all results into `folder`; returns the Markdown.

    Rows of an earlier run that were not measured again stay; each has its time of measurement.

    Raises:
        DataError: `benchmark.json` of the folder is something else.
    """
    made = provenance()
    new = [{**row.as_json(), "measured_utc": str(made["time_utc"])} for row in rows]
    merged = merge_rows(read_rows(folder / JSON), new)
    write_json(folder / JSON, {"command": COMMAND, "provenance": made, "rows": merged})
    for name in GROWTHS:
        _plot_growth(name, merged, folder / f"benchmark-{name.replace('_', '-')}.png")
    text = markdown(merged)
    write_text(folder / MARKDOWN, text)
    return text


def read_rows(path: Path) -> list[Row]:
    """The rows of an earlier `benchmark.json`; none where there is no file.

    Raises:
        DataError: it is something else.
    """
    try:
        rows = json.loads(path.read_text("utf-8"))["rows"]
        if not all(isinstance(row["name"], str) for row in rows):
            raise TypeError("a row without a name")
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path}: expected rows of a benchmark, got {error}; delete it") from error
    return list(rows)


def merge_rows(old: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """Old rows, replaced by new ones of the same name, then the other new ones."""
    by_name = {row["name"]: row for row in new}
    known = {row["name"] for row in old}
    kept = [by_name.get(row["name"], row) for row in old]
    return kept + [row for row in new if row["name"] not in known]


def markdown(rows: Sequence[Row]) -> str:
    """The table of all rows, those of the plots last."""
    plotted = [row for row in rows if _size(row) is not None]
    others = [row for row in rows if _size(row) is None]
    lines = [
        f"Written by `{COMMAND}`. Medians; ours and baseline were measured in turn in one run.",
        "",
        "| name | what | ours | baseline | ratio | goal | met |",
        "|---|---|---|---|---|---|---|",
        *(_line(row) for row in others),
    ]
    details = [
        f"- `{row['name']}`: "
        + ", ".join(f"{name.replace('_', ' ')} {_text(v)}" for name, v in row["detail"].items())
        for row in others
        if row.get("detail")
    ]
    if details:
        lines += ["", "Beside them:", "", *details]
    if plotted:
        lines += ["", "| rows | what | s | µs/row | peak MiB |", "|---|---|---|---|---|"]
        lines += [
            f"| {_size(row):,.0f} | {row['what']} | {_text(row['ours'])} "
            f"| {_text(row['detail']['us_per_row'])} | {_text(row['detail']['peak_mib'])} |"
            for row in plotted
        ]
    return "\n".join([*lines, *_many_films(rows)]) + "\n"


def _many_films(rows: Sequence[Row]) -> list[str]:
    """Costs of many films (docs/scale.md) from the measured numbers."""
    ours = {row["name"]: float(row["ours"]) for row in rows}
    costs = [
        (label, amount / (3600 if unit == "hours" else 1), unit)
        for label, amount, unit in (
            ("`predict`, one process", ours.get("predict_vs_forward", 0) / 1e3, "hours"),
            ("the same in bfloat16", ours.get("predict_bfloat16_vs_float32", 0) / 1e3, "hours"),
            ("reports to attributes", 1 / (ours.get("reports_per_second") or math.inf), "hours"),
            ("ROI store", ours.get("roi_store_size", 0) / 1e4, "GB"),
        )
        if amount
    ]
    if not costs:
        return []
    return [
        "",
        "What this means for many films, on this machine (docs/scale.md):",
        "",
        "| what | unit | 1 million | 100 million |",
        "|---|---|---|---|",
        *(
            f"| {label} | {unit} | {_text(cost * 1e6)} | {_text(cost * 1e8)} |"
            for label, cost, unit in costs
        ),
    ]


def _line(row: Row) -> str:
    baseline = "" if row["baseline"] is None else f"{_text(row['baseline'])}: {row['baseline_is']}"
    ratio = "" if row["ratio"] is None else f"{_text(row['ratio'])} ({row['ratio_is']})"
    met = {True: "yes", False: "**no**", None: ""}[row["is_met"]]
    return (
        f"| `{row['name']}` | {row['what']} | {_text(row['ours'])} {row['unit']} | {baseline} "
        f"| {ratio} | {row['goal']} | {met} |"
    )


def _text(value: float | str | None) -> str:
    if value is None:
        return "-"
    return (
        value if isinstance(value, str) else f"{value:.3g}" if abs(value) < 1e3 else f"{value:,.0f}"
    )


def _size(row: Row) -> float | None:
    """Number of rows at a point of a growth plot; None for other rows."""
    size: float | None = row.get("detail", {}).get("rows")
    return size


def _plot_growth(name: str, rows: Sequence[Row], path: Path) -> None:
    """Seconds and peak memory over rows, with the straight line through the largest point."""
    points = sorted(
        (float(_size(row) or 0), float(row["ours"]), float(row["detail"]["peak_mib"] or 0))
        for row in rows
        if row["name"].startswith(f"{name}_growth_")
    )
    if not points:
        return
    size, seconds, memory = zip(*points, strict=True)
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.loglog(size, seconds, "o-", label="measured")
    left.loglog(size, [seconds[-1] * one / size[-1] for one in size], ":", label="linear")
    left.set(xlabel="rows", ylabel="seconds", title=name.replace("_", " "))
    left.legend()
    right.semilogx(size, memory, "o-")
    right.set(xlabel="rows", ylabel="peak resident MiB", ylim=(0, None))
    for axes in (left, right):
        axes.grid(alpha=0.3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, metadata={"Software": None})
