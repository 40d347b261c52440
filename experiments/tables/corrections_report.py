"""`write_corrections`: the loop of corrections as JSON and Markdown page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from data_manifests.support.atomic import write_json, write_text
from detector.run.provenance import provenance
from experiments.data.annotator import AnnotatorHabits
from experiments.tables.corrections import CorrectionsResult, CorrectionsSize
from experiments.tables.rows import KEYS, estimate_cell
from localize.evaluation.bootstrap import Estimate
from localize.evaluation.report import Evaluation
from localize.formats.changes import KINDS, ChangeSummary

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
    content = {
        "command": command,
        "provenance": {
            **provenance(),
            "size": asdict(size),
            "annotator": asdict(habits),
            "models": models,
        },
        "changes": _changes(result.changes),
        "rows": rows,
        "corrected_minus_uncorrected": against,
    }
    write_json(folder / "corrections.json", content)
    return write_page(content, folder)


def write_page(content: Mapping[str, Any], folder: Path) -> str:
    """Write `corrections.md` from the content of `corrections.json`; returns the Markdown."""
    settings = content["provenance"]
    text = _markdown(
        content, CorrectionsSize(**settings["size"]), AnnotatorHabits(**settings["annotator"])
    )
    write_text(folder / "corrections.md", text)
    return text


def _changes(summaries: Sequence[ChangeSummary]) -> dict[str, Any]:
    """The counts of all first models together."""
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


def _markdown(content: Mapping[str, Any], size: CorrectionsSize, habits: AnnotatorHabits) -> str:
    changes, rows = content["changes"], content["rows"]
    against = content["corrected_minus_uncorrected"]
    share, iou = changes["accepted_share"], changes["mean_iou_moved"]
    lines = [
        "# Predict, correct, fine-tune",
        "",
        f"`{content['command']}`",
        "",
        "Phantom films. A model trained at hospital A (boxes) and B (reports) predicts new films "
        f"of hospital B. Boxes with a score of at least {size.min_score}, at most {size.max_boxes} "
        "a film, are exported as CVAT XML; a simulated annotator corrects them; the XML is "
        "imported. The model's detector is fine-tuned on A's boxes and these. Controls: A's boxes "
        "alone, and A's with the boxes as predicted. Each takes "
        f"{size.epochs * (size.epoch_films // 8)} steps. Validation films come from the same "
        "source as the training films.",
        "",
        f"The annotator is a rule, not a person. It leaves boxes of IoU ≥ {habits.accept_iou} with "
        f"an opacity as they are, moves those of IoU ≥ {habits.move_iou}, and deletes the others. "
        f"It overlooks {habits.overlooked:.0%} of the opacities without a box. Its edges are off "
        f"by {habits.hand:.0%} of the side (standard deviation).",
        "",
        "| films | unchanged films | accepted | moved (mean IoU) | deleted | added "
        "| accepted of predicted |",
        "|---" * 7 + "|",
        f"| {changes['films']} | {changes['films_unchanged']} | {changes['accepted']} | "
        f"{changes['moved']} ({'-' if iou is None else f'{iou:.2f}'}) | {changes['deleted']} | "
        f"{changes['added']} | {'-' if share is None else f'{share:.1%}'} |",
        "",
        f"Detectors alone, on {rows[0]['films']} other films of hospital B with "
        f"{rows[0]['boxes']} true boxes. Brackets: 95 % bootstrap intervals over patients.",
        "",
        "| trained on | IoU@.25 | IoU@.5 | IoU@.75 | AP@.5 | IoU@.5 minus A alone |",
        "|---" * 6 + "|",
    ]
    for row in rows:
        cells = [_cell(row[short]) for short in KEYS]
        cells.append(_cell(row["iou_50_minus_source"]))
        lines.append(f"| {ARMS[row['arm']]} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Corrected minus as predicted: IoU@.25 {_cell(against['iou_25'])}, IoU@.5 "
        f"{_cell(against['iou_50'])}, AP@.5 {_cell(against['ap_50'])}.",
    ]
    return "\n".join(lines) + "\n"


def _cell(values: dict[str, float | None] | None) -> str:
    return "-" if values is None else estimate_cell(Estimate(**values))
