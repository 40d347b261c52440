"""`run_curves`: the gain over RetinaNet against the shift and against the number of pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data_manifests.support.atomic import write_json, write_text
from detector.run.provenance import manifest_sha256, provenance
from experiments.core.phantom_run import PhantomResult, run_phantom
from experiments.core.phantom_work import DATASET
from experiments.core.presets import CurvesPreset
from experiments.figures.drawing import COLOURS, figure_at
from experiments.methods.method import BASELINE, build_method
from experiments.tables.rows import NOTHING, TableRow, estimate_cell, estimate_json, table_row
from localize.evaluation.bootstrap import Estimate

Axis = Literal["shift", "pairs"]
AXES: tuple[Axis, ...] = ("shift", "pairs")
METRIC = "iou_at_0.5"
LABELS = {
    "shift": "shift between the hospitals (0: none)",
    "pairs": "film-report pairs of hospital B",
}


@dataclass(frozen=True)
class CurvePoint:
    """A method at one value of one axis; `proposed_minus`: how far `proposed` is ahead of it, IoU
    at .5, paired, where it is one of its controls."""

    axis: Axis
    value: float
    row: TableRow
    proposed_minus: Estimate


@dataclass(frozen=True)
class CurvesResult:
    """Points of both curves in order, and what they were made from."""

    points: list[CurvePoint]
    preset: CurvesPreset
    data: dict[str, str]


def run_curves(out: Path, preset: CurvesPreset, processes: int = 1) -> Iterator[str | CurvesResult]:
    """Both curves, on the work folders of `run_phantom`; lines, then the result.

    Along the shift hospital B changes and hospital A with its detector stays; along the pairs only
    the number of training films of hospital B changes, up to all of them.
    """
    methods = [build_method(spec) for spec in preset.methods]
    steps: list[tuple[Axis, float | None]] = [("shift", value) for value in preset.shifts]
    steps += [("pairs", value) for value in (*preset.pairs, None)]
    points, data = [], {}
    for axis, value in steps:
        yield f"{axis} {'all' if value is None else format(value, 'g')}"
        result: PhantomResult | None = None
        for step in run_phantom(
            out,
            seeds=preset.seeds,
            size=preset.size,
            methods=methods,
            shift=value if axis == "shift" else None,
            pairs=int(value) if axis == "pairs" and value is not None else None,
            processes=processes,
        ):
            if isinstance(step, str):
                yield f"  {step}"
            else:
                result = step
        if result is not None:
            if value is None:
                value = round(result.pairs)
            data[f"{axis} {value:g}"] = manifest_sha256(result.truth)
            ahead = {one.control: one.differences.get(METRIC, NOTHING) for one in result.controls}
            points += [
                CurvePoint(
                    axis,
                    value,
                    table_row(DATASET, method, result.evaluations[method.name]),
                    ahead.get(method.name, NOTHING),
                )
                for method in methods
            ]
    yield CurvesResult(points, preset, data)


def write_curves(result: CurvesResult, folder: Path, stem: str, *, command: str) -> str:
    """Write `STEM.json`, `STEM.md` and `STEM.png`; returns the Markdown."""
    write_json(
        folder / f"{stem}.json",
        {
            "command": command,
            "provenance": {
                **provenance(),
                **result.preset.model_dump(mode="json"),
                "data_sha256": result.data,
            },
            "rows": [
                {
                    "axis": point.axis,
                    "value": point.value,
                    **point.row.as_json(),
                    "proposed_minus_iou_50": estimate_json(point.proposed_minus),
                }
                for point in result.points
            ],
        },
    )
    _draw(result, folder / f"{stem}.png")
    lines = [
        "# When do reports move boxes? Gain over RetinaNet",
        "",
        f"`{command}`",
        "",
        f"Phantom, hospital B's test films, seeds {', '.join(map(str, result.preset.seeds))} "
        "pooled. Brackets: 95 % bootstrap over patients; differences are paired.",
    ]
    for axis in AXES:
        lines += [
            "",
            f"**Against the {LABELS[axis]}**",
            "",
            f"| {axis} | method | films | boxes | IoU@.5 | IoU@.5 minus RetinaNet "
            "| proposed minus it | AP@.5 | film AUC |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for point in result.points:
            if point.axis == axis:
                row = point.row
                gain = "-" if row.method == BASELINE else estimate_cell(_gain(row))
                number, precision, auc = (
                    estimate_cell(row.number(key)) for key in (METRIC, "ap_at_0.5", "film_auc")
                )
                lines.append(
                    f"| {point.value:g} | {row.method} | {row.films} | {row.boxes} | {number} "
                    f"| {gain} | {estimate_cell(point.proposed_minus)} | {precision} | {auc} |"
                )
    text = "\n".join([*lines, "", f"![Gain against shift and pairs]({stem}.png)"]) + "\n"
    write_text(folder / f"{stem}.md", text)
    return text


def _gain(row: TableRow) -> Estimate:
    return row.differences.get(METRIC, NOTHING)


def _draw(result: CurvesResult, path: Path) -> None:
    """A panel for each axis: the paired gain of each method with its interval."""
    names = [spec.name for spec in result.preset.methods if spec.name != BASELINE]
    with figure_at(path, 7.0, 3.0) as figure:
        for panel, axis in zip(figure.subplots(1, 2, sharey=True), AXES, strict=True):
            panel.axhline(0, color="#888888", lw=0.8, ls=":")
            for colour, name in zip(COLOURS, names, strict=False):
                points = [p for p in result.points if p.axis == axis and p.row.method == name]
                known = [(p.value, _gain(p.row)) for p in points if _gain(p.row).value is not None]
                x = [value for value, _ in known]
                panel.plot(x, [gain.value for _, gain in known], "o-", color=colour, label=name)
                panel.fill_between(
                    x,
                    [gain.low if gain.low is not None else gain.value for _, gain in known],
                    [gain.high if gain.high is not None else gain.value for _, gain in known],
                    color=colour,
                    alpha=0.15,
                    lw=0,
                )
            panel.set_xlabel(LABELS[axis])
        figure.axes[0].set_ylabel("IoU@.5 minus RetinaNet")
        figure.axes[0].legend(frameon=False)
