"""`write_controlled`: the controlled experiment as JSON and as a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data_manifests.atomic import write_json, write_text
from detector.provenance import provenance
from experiments.controlled import ControlledResult, SideCount
from localize.evaluation import Evaluation
from localize.metrics.bootstrap import Estimate
from localize.quickstart import QuickstartSize

HEAD = (
    "method",
    "IoU@.25",
    "IoU@.5",
    "IoU@.75",
    "AP@.5",
    "IoU@.5 minus RetinaNet",
    "attribute AUC",
    "side",
)
KEYS = {
    "iou_25": "iou_at_0.25",
    "iou_50": "iou_at_0.5",
    "iou_75": "iou_at_0.75",
    "ap_50": "ap_at_0.5",
    "best_available_iou_50": "best_iou_at_0.5",
    "attribute_auc": "attribute_macro_auc",
    "film_auc": "film_auc",
}


def write_controlled(
    result: ControlledResult, folder: Path, *, size: QuickstartSize, seeds: Sequence[int]
) -> str:
    """Write `controlled.json` and `controlled.md`; returns the Markdown."""
    rows = [
        _row(name, evaluation, result.sides[name])
        for name, evaluation in result.evaluations.items()
    ]
    chosen = " ".join(f"--seed {seed}" for seed in seeds)
    command = (
        f"pneumoloc experiment controlled {chosen} --films-a {size.films_a} "
        f"--films-b {size.films_b} --detector-epochs {size.detector_epochs} --out WORK"
    )
    content = {
        "command": command,
        "provenance": {**provenance(), "size": asdict(size), "seeds": list(seeds)},
        "rows": rows,
    }
    write_json(folder / "controlled.json", content)
    text = _markdown(rows, command)
    write_text(folder / "controlled.md", text)
    return text


def _row(name: str, evaluation: Evaluation, sides: SideCount) -> dict[str, Any]:
    known = {row.key: row for row in evaluation.rows}
    row: dict[str, Any] = {
        "dataset": "phantom hospital B, test",
        "method": name,
        "films": evaluation.films.evaluated,
        "boxes": evaluation.films.true_boxes,
    }
    for short, key in KEYS.items():
        row[short] = known[key].estimate.value if key in known else None
    row["intervals"] = {
        short: [known[key].estimate.low, known[key].estimate.high]
        for short, key in KEYS.items()
        if key in known
    }
    difference = known[KEYS["iou_50"]].difference
    row["diff_iou_50"] = (
        None
        if difference is None
        else {"mean": difference.value, "low": difference.low, "high": difference.high}
    )
    row["side_share"] = sides.correct / sides.asked if sides.asked else None
    row["side_asked"] = sides.asked
    return row


def _markdown(rows: list[dict[str, Any]], command: str) -> str:
    films, boxes = rows[0]["films"], rows[0]["boxes"]
    lines = [
        "# The controlled question: does text from hospital B move the boxes?",
        "",
        f"`{command}`",
        "",
        f"Phantom, test split of hospital B: {films} films, {boxes} true boxes, all seeds pooled. "
        "The detector is trained on A's boxes; B gives film-report pairs only. 95 % intervals: "
        "bootstrap over patients of all seeds. The last column: the region to which the "
        "attribute head says 'left' (or 'right') most surely lies on that side.",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|---" * len(HEAD) + "|",
    ]
    for row in rows:
        cells = [_with_interval(row, key) for key in ("iou_25", "iou_50", "iou_75", "ap_50")]
        difference = row["diff_iou_50"]
        cells.append(
            "-"
            if difference is None
            else _estimate(Estimate(difference["mean"], difference["low"], difference["high"]))
        )
        cells.append(_with_interval(row, "attribute_auc") if row["side_asked"] else "-")
        cells.append(f"{row['side_share']:.3f}" if row["side_asked"] else "-")
        lines.append(f"| {row['method']} | {' | '.join(cells)} |")
    best = rows[0]["best_available_iou_50"]
    if best is not None:
        lines += ["", f"Best available of RetinaNet's ten boxes at IoU .5: {best:.3f}."]
    return "\n".join(lines) + "\n"


def _with_interval(row: dict[str, Any], key: str) -> str:
    low, high = row["intervals"].get(key, [None, None])
    return _estimate(Estimate(row[key], low, high))


def _estimate(estimate: Estimate) -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "-"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
