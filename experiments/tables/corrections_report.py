"""`write_corrections`: the loop of corrections as JSON and as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from data_manifests.support.atomic import write_json, write_text
from detector.run.provenance import provenance
from experiments.data.annotator import AnnotatorHabits
from experiments.tables.corrections import CorrectionsResult, CorrectionsSize
from localize.evaluation.bootstrap import Estimate
from localize.evaluation.report import Evaluation
from localize.formats.changes import KINDS, ChangeSummary

KEYS = {
    "iou_25": "iou_at_0.25",
    "iou_50": "iou_at_0.5",
    "iou_75": "iou_at_0.75",
    "ap_50": "ap_at_0.5",
}
ARMS = {
    "source": "A's boxes alone",
    "uncorrected": "A + boxes of B as predicted",
    "corrected": "A + boxes of B as corrected",
}


def write_corrections(
    result: CorrectionsResult,
    folder: Path,
    size: CorrectionsSize,
    habits: AnnotatorHabits,
    *,
    models: int,
) -> str:
    """Write `corrections.json` and `corrections.md`; returns the Markdown.

    Args:
        result: of `run_corrections`.
        folder: where the files go.
        size: as given to `run_corrections`.
        habits: as given to `run_corrections`.
        models: how many first models were corrected.
    """
    command = (
        f"pneumoloc experiment corrections {'--quickstart QUICKSTART ' * models}"
        f"--films-review {size.films_review} --films-test {size.films_test} "
        f"--epochs {size.epochs} --out WORK"
    )
    rows = [_row(arm, evaluation) for arm, evaluation in result.evaluations.items()]
    against = {key: _difference(result.against_uncorrected, KEYS[key]) for key in KEYS}
    changes = _changes(result.changes)
    content = {
        "command": command,
        "provenance": {
            **provenance(),
            "size": asdict(size),
            "annotator": asdict(habits),
            "models": models,
        },
        "changes": changes,
        "rows": rows,
        "corrected_minus_uncorrected": against,
    }
    write_json(folder / "corrections.json", content)
    text = _markdown(
        command, changes, rows, against, size, habits, result.against_uncorrected.replicates
    )
    write_text(folder / "corrections.md", text)
    return text


def _changes(summaries: Sequence[ChangeSummary]) -> dict[str, Any]:
    """The counts of all seeds together."""
    total: dict[str, Any] = {
        name: sum(getattr(summary.total, name) for summary in summaries)
        for name in ("films", "films_unchanged", *KINDS)
    }
    moved = [
        iou
        for summary in summaries
        for iou in summary.table["iou"][summary.table["change"] == "moved"]
    ]
    total["mean_iou_moved"] = float(np.mean(moved)) if moved else None
    sent = sum(total[kind] for kind in KINDS if kind != "added")
    total["accepted_share"] = total["accepted"] / sent if sent else None
    return total


def _row(arm: str, evaluation: Evaluation) -> dict[str, Any]:
    row: dict[str, Any] = {
        "dataset": "phantom hospital B, fresh test films",
        "arm": arm,
        "films": evaluation.films.evaluated,
        "boxes": evaluation.films.true_boxes,
    }
    for short, key in KEYS.items():
        row[short] = asdict(evaluation.row(key).estimate)
        row[f"{short}_minus_source"] = None if arm == "source" else _difference(evaluation, key)
    return row


def _difference(evaluation: Evaluation, key: str) -> dict[str, Any] | None:
    difference = evaluation.row(key).difference
    return None if difference is None else asdict(difference)


def _markdown(
    command: str,
    changes: dict[str, Any],
    rows: list[dict[str, Any]],
    against: dict[str, Any],
    size: CorrectionsSize,
    habits: AnnotatorHabits,
    replicates: int,
) -> str:
    films, boxes = rows[0]["films"], rows[0]["boxes"]
    share, iou = changes["accepted_share"], changes["mean_iou_moved"]
    lines = [
        "# The loop: predict, correct, train again",
        "",
        f"`{command}`",
        "",
        "Phantom films. A model trained at hospital A (boxes) and B (reports) predicts fresh films "
        f"of hospital B. Boxes from a score of {size.min_score} on, at most {size.max_boxes} a "
        "film, go out as CVAT XML; a simulated annotator corrects them; the XML comes back through "
        "the importer. The model's detector is then tuned on A's boxes and these; for comparison "
        "on A's boxes alone, and on A's and the boxes as they went out. Each takes "
        f"{size.epochs * (size.epoch_films // 8)} steps, and its weights are chosen on validation "
        "films of the same kind as its training films.",
        "",
        f"The annotator is a rule, not a person: it leaves boxes of IoU ≥ {habits.accept_iou} with "
        f"an opacity as they are, moves those of IoU ≥ {habits.move_iou}, deletes the others, "
        f"overlooks {habits.overlooked:.0%} of the opacities without a box, and its edges are off "
        f"by {habits.hand:.0%} of the side (standard deviation).",
        "",
        "| films | unchanged films | accepted | moved (mean IoU) | deleted | added "
        "| accepted of predicted |",
        "|---" * 7 + "|",
        f"| {changes['films']} | {changes['films_unchanged']} | {changes['accepted']} | "
        f"{changes['moved']} ({'-' if iou is None else f'{iou:.2f}'}) | {changes['deleted']} | "
        f"{changes['added']} | {'-' if share is None else f'{share:.1%}'} |",
        "",
        f"Detectors alone, on {films} other films of hospital B with {boxes} true boxes, which "
        f"nobody corrected. 95 % intervals: bootstrap over patients, {replicates} resamples.",
        "",
        "| trained on | IoU@.25 | IoU@.5 | IoU@.75 | AP@.5 | IoU@.5 minus A alone |",
        "|---" * 6 + "|",
    ]
    for row in rows:
        cells = [_text(row[short]) for short in KEYS]
        cells.append(_text(row["iou_50_minus_source"]))
        lines.append(f"| {ARMS[row['arm']]} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Corrected minus as predicted: IoU@.25 {_text(against['iou_25'])}, IoU@.5 "
        f"{_text(against['iou_50'])}, AP@.5 {_text(against['ap_50'])}.",
    ]
    return "\n".join(lines) + "\n"


def _text(values: dict[str, Any] | None) -> str:
    if values is None:
        return "-"
    estimate = Estimate(**values)
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "-"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
