"""`run_curves`: the gain over RetinaNet against the shift and against the number of pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from data_manifests.support.atomic import write_json, write_text
from detector.run.provenance import manifest_sha256, provenance
from experiments.core.drawing import COLOURS, figure_at
from experiments.core.phantom_run import run_phantom
from experiments.core.phantom_seed import DATASET
from experiments.core.presets import CurvesPreset
from experiments.methods.inputs import Progress, no_progress
from experiments.methods.names import BASELINE
from experiments.tables.differences import read_estimate
from experiments.tables.rows import NOTHING, TableRow, estimate_cell, estimate_json, table_row
from experiments.tables.table1 import FORMAT_VERSION
from localize.evaluation.bootstrap import Estimate

OURS = "report_adapted_proposed"
Axis = Literal["shift", "pairs"]
AXES: tuple[Axis, ...] = ("shift", "pairs")
METRIC = "iou_at_0.5"
LABELS = {
    "shift": "shift between the hospitals (0: none)",
    "pairs": "film-report pairs of hospital B",
}


@dataclass(frozen=True)
class CurvePoint:
    """A method at one value of one axis; `ours_minus` is the paired difference in IoU@.5 of the
    report-adapted method to it, where it is a control."""

    axis: Axis
    value: float
    row: TableRow
    ours_minus: Estimate


@dataclass(frozen=True)
class Curves:
    """Points of both curves in order, and what they were made with."""

    command: str
    points: Sequence[CurvePoint]
    provenance: Mapping[str, Any]
    data: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """The content of `curves-*.json`."""
        return {
            "format_version": FORMAT_VERSION,
            "command": self.command,
            "provenance": {**provenance(), **self.provenance, "data_sha256": dict(self.data)},
            "rows": [
                {
                    "axis": point.axis,
                    "value": point.value,
                    **point.row.as_json(),
                    "proposed_minus_iou_50": estimate_json(point.ours_minus),
                }
                for point in self.points
            ],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Curves:
        """Written curves."""
        points = [
            CurvePoint(
                row["axis"],
                row["value"],
                TableRow.from_json(row),
                read_estimate(row["proposed_minus_iou_50"]),
            )
            for row in content["rows"]
        ]
        settings = content["provenance"]
        return cls(content["command"], points, settings, settings["data_sha256"])


def run_curves(
    out: Path,
    preset: CurvesPreset,
    *,
    command: str,
    processes: int = 1,
    progress: Progress = no_progress,
) -> Curves:
    """Both curves, in the output folders of `run_phantom`.

    Along the shift hospital B changes and hospital A with its detector stays; along the pairs only
    the number of training films of hospital B changes, up to all of them.
    """
    steps: list[tuple[Axis, float | None]] = [("shift", value) for value in preset.shifts]
    steps += [("pairs", value) for value in (*preset.pairs, None)]
    points, data = [], {}
    for axis, value in steps:
        progress(f"{axis} {'all' if value is None else format(value, 'g')}")
        count = int(value) if axis == "pairs" and value is not None else None
        run = preset.run(out, shift=value if axis == "shift" else None, pairs=count)
        result = run_phantom(
            run, preset.methods, preset.seeds, processes=processes, progress=progress
        )
        at = round(result.pairs) if value is None else value
        data[f"{axis} {at:g}"] = manifest_sha256(result.truth)
        ours_minus = {
            one.b: one.by_metric.get(METRIC, NOTHING) for one in result.differences if one.a == OURS
        }
        points += [
            CurvePoint(
                axis,
                at,
                table_row(DATASET, one.name, result.evaluations[one.name], one.repeats),
                ours_minus.get(one.name, NOTHING),
            )
            for one in result.methods
        ]
    return Curves(command, points, preset.model_dump(mode="json"), data)


def write_curves(curves: Curves, folder: Path, stem: str) -> str:
    """Write `STEM.json`, `STEM.md` and `STEM.png`; returns the Markdown."""
    write_json(folder / f"{stem}.json", curves.as_json())
    return write_page(curves, folder, stem)


def write_page(curves: Curves, folder: Path, stem: str) -> str:
    """Write `STEM.md` and `STEM.png`; returns the Markdown."""
    _draw(curves, folder / f"{stem}.png")
    lines = [
        "# When do reports move boxes? Gain over RetinaNet",
        "",
        f"`{curves.command}`",
        "",
        f"Phantom, test films of hospital B, seeds "
        f"{', '.join(map(str, curves.provenance['seeds']))} together. Brackets: 95 % bootstrap "
        "intervals over patients; differences are paired.",
    ]
    for axis in AXES:
        lines += [
            "",
            f"**Against the {LABELS[axis]}**",
            "",
            f"| {axis} | method | films | boxes | IoU@.5 | IoU@.5 minus RetinaNet "
            "| adapted by reports minus this | AP@.5 | film AUC |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for point in curves.points:
            if point.axis == axis:
                row = point.row
                gain = "-" if row.method == BASELINE else estimate_cell(_gain(row))
                number, precision, auc = (
                    estimate_cell(row.number(key)) for key in (METRIC, "ap_at_0.5", "film_auc")
                )
                lines.append(
                    f"| {point.value:g} | {row.method} | {row.films} | {row.boxes} | {number} "
                    f"| {gain} | {estimate_cell(point.ours_minus)} | {precision} | {auc} |"
                )
    text = "\n".join([*lines, "", f"![Gain against shift and pairs]({stem}.png)"]) + "\n"
    write_text(folder / f"{stem}.md", text)
    return text


def _gain(row: TableRow) -> Estimate:
    return row.differences.get(METRIC, NOTHING)


def _draw(result: Curves, path: Path) -> None:
    """A panel for each axis: the paired gain of each method with its interval."""
    names = dict.fromkeys(p.row.method for p in result.points if p.row.method != BASELINE)
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
