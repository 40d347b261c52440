"""`write_real`: the run on open films as JSON and as Markdown tables."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from data_manifests.atomic import write_json, write_text
from detector.provenance import provenance
from experiments.real_run import RealResult
from localize.evaluation import Evaluation, MetricRow
from localize.metrics.bootstrap import Estimate

SHOWN = (
    "iou_at_0.25",
    "iou_at_0.5",
    "iou_at_0.75",
    "best_iou_at_0.5",
    "ap_at_0.5",
    "film_auc",
    "film_ece",
)


def write_real(result: RealResult, folder: Path, *, command: str) -> str:
    """Write `real-run.json` and `real-run.md`; returns the Markdown."""
    content = {
        "command": command,
        "provenance": provenance(),
        "rows": [
            {"dataset": test, "method": method, **_numbers(evaluation)}
            for (test, method), evaluation in result.evaluations.items()
        ],
        "severity": [asdict(row) for row in result.severity],
    }
    write_json(folder / "real-run.json", content)
    text = _markdown(result, command)
    write_text(folder / "real-run.md", text)
    return text


def _numbers(evaluation: Evaluation) -> dict[str, Any]:
    rows = {row.key: row for row in evaluation.rows}
    numbers: dict[str, Any] = {
        "films": evaluation.films.evaluated,
        "boxes": evaluation.films.true_boxes,
    }
    for key in SHOWN:
        if key in rows:
            numbers[key] = asdict(rows[key].estimate)
            if rows[key].difference is not None:
                numbers[f"{key}_difference"] = asdict(_given(rows[key]))
    return numbers


def _given(row: MetricRow) -> Estimate:
    return row.difference or Estimate(None, None, None)


def _markdown(result: RealResult, command: str) -> str:
    lines = [f"`{command}`", ""]
    for test in dict.fromkeys(name for name, _ in result.evaluations):
        parts = {m: e for (name, m), e in result.evaluations.items() if name == test}
        films = next(iter(parts.values())).films
        lines += [
            f"**{test}**: {films.evaluated} films of {films.patients} patients, "
            f"{films.with_boxes} with {films.true_boxes} boxes.",
            "",
            "| metric | " + " | ".join(parts) + " | proposed minus retinanet |",
            "|---" * (len(parts) + 2) + "|",
        ]
        for key in SHOWN:
            rows = {m: {row.key: row for row in e.rows}.get(key) for m, e in parts.items()}
            if all(row is not None for row in rows.values()):
                cells = [_estimate(row.estimate) for row in rows.values() if row is not None]
                last = rows["proposed"]
                cells.append("-" if last is None else _estimate(_given(last)))
                lines.append(f"| {key} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += [
        "**Severity** (Cohen, geographic extent 0 to 8), five folds grouped by patient:",
        "",
        "| score | films | patients | Pearson r | Spearman | R2 | MAE | MSE |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for fit in result.severity:
        r = _estimate(Estimate(fit.pearson, fit.low, fit.high))
        rest = " | ".join(
            "-" if value is None else f"{value:.2f}"
            for value in (fit.spearman, fit.r2, fit.mae, fit.mse)
        )
        lines.append(f"| {fit.score} | {fit.films} | {fit.patients} | {r} | {rest} |")
    return "\n".join(lines) + "\n"


def _estimate(estimate: Estimate) -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "-"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
