"""`write_model_card`: the card of the bundle that ships with the package."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined

from data_manifests.support.atomic import write_json, write_text
from detector.run.provenance import manifest_sha256, provenance
from experiments.core.drawing import COLOURS, figure_at
from experiments.data.open_input import FULL_FRAMES
from experiments.tables.bundle_results import MIN_GROUP, BundleResult
from experiments.tables.rows import estimate_cell
from localize.evaluation.report import Evaluation
from localize.severity.agreement import SeverityAgreement

COMMAND = (
    "pneumoloc experiment package-bundle --data DATA --reports REPORTS --out WORK "
    "--results docs/results"
)
ROWS = (
    ("iou_at_0.25", "IoU@.25 (top k)"),
    ("iou_at_0.5", "IoU@.5 (top k)"),
    ("iou_at_0.75", "IoU@.75 (top k)"),
    ("ap_at_0.25", "AP@.25"),
    ("ap_at_0.5", "AP@.5"),
    ("froc_0.5_at_0.5_fp", "sensitivity at 0.5 false positives a film (IoU .5)"),
    ("froc_0.5_at_1_fp", "sensitivity at 1 false positive a film (IoU .5)"),
    ("pointing_hit_rate", "pointing game"),
    ("film_auc", "film AUC, opacity against every other labelled film"),
    ("film_ece", "film ECE"),
)
GROUP_ROWS = ("iou_at_0.25", "iou_at_0.5", "ap_at_0.5", "film_auc")
BINS = 10
TEMPLATE = "model_card.md.j2"


def write_model_card(result: BundleResult, results: Path, images: Path, bundle: Path) -> str:
    """Write `model-card.md`, `model-card.json` and the reliability diagram; returns the card."""
    tests = list(result.evaluations)
    description = result.bundle.description
    size = sum(path.stat().st_size for path in bundle.iterdir()) / 1e6
    _draw_reliability(result, images / "model-card-reliability.png")
    calls = result.calls.to_numpy(np.float64)
    shares = calls / calls.sum(axis=1, keepdims=True)
    names = {0: "no opacity", 1: "opacity"}
    template = resources.files("experiments.presets").joinpath(TEMPLATE).read_text("utf-8")
    environment = Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True)  # noqa: S701 - Markdown
    card = environment.from_string(template).render(
        command=COMMAND,
        detector=description["detector"],
        megabytes=f"{size:.1f}",
        full=result.trained["rsna_nih_fullframe"],
        masked=result.trained["rsna_lungmasked"],
        severity_films=result.severity[0].films,
        calibration=result.bundle.calibration,
        tests=tests,
        counts={name: _counts(result.evaluations[name]) for name in tests},
        rows=[
            [title, *(_cell(result.evaluations[name], key) for name in tests)]
            for key, title in ROWS
        ],
        normal_auc=_cell(result.against_normal, "film_auc"),
        normal_films=result.against_normal.films.no_pneumonia,
        min_group=MIN_GROUP,
        groups=[
            [
                group.name,
                group.films,
                group.evaluation.films.true_boxes,
                *(_cell(group.evaluation, key) for key in GROUP_ROWS),
            ]
            for group in result.groups
        ],
        ece=_cell(result.evaluations[FULL_FRAMES], "film_ece"),
        calls=[
            [names[int(label)], *row]
            for label, row in zip(result.calls.index, result.calls.to_numpy().tolist(), strict=True)
        ],
        wrong_yes=f"{shares[0, -1]:.0%}",
        wrong_no=f"{shares[1, 0]:.0%}",
        severity=_severity_rows(result.severity),
        flagged=[[kind, f"{share:.3f}"] for kind, share in result.flagged.items()],
    )
    write_text(results / "model-card.md", card)
    write_json(results / "model-card.json", _as_json(result))
    return card


def _as_json(result: BundleResult) -> dict[str, object]:
    return {
        "command": COMMAND,
        "provenance": {
            **provenance(),
            "bundle_id": result.bundle.bundle_id,
            "data": {name: manifest_sha256(films) for name, films in result.truths.items()},
        },
        "tests": {
            name: {row.key: vars(row.estimate) for row in evaluation.rows}
            for name, evaluation in result.evaluations.items()
        },
        "against_normal": vars(result.against_normal.row("film_auc").estimate),
        "groups": {
            group.name: {
                key: vars(group.evaluation.row(key).estimate)
                for key in GROUP_ROWS
                if _has(group.evaluation, key)
            }
            for group in result.groups
        },
        "severity": [vars(fit) for fit in result.severity],
        "flagged": result.flagged,
        "calls": result.calls.to_dict("index"),
    }


def _has(evaluation: Evaluation, key: str) -> bool:
    return any(row.key == key for row in evaluation.rows)


def _cell(evaluation: Evaluation, key: str) -> str:
    return estimate_cell(evaluation.row(key).estimate) if _has(evaluation, key) else "-"


def _counts(evaluation: Evaluation) -> str:
    films = evaluation.films
    return f"{films.evaluated} ({films.patients}), {films.with_boxes}, {films.true_boxes}"


def _severity_rows(fits: Sequence[SeverityAgreement]) -> list[list[object]]:
    return [
        [
            fit.score,
            fit.films,
            fit.patients,
            "-" if fit.pearson is None else f"{fit.pearson:.3f} [{fit.low:.3f}, {fit.high:.3f}]",
            "-" if fit.mae is None else f"{fit.mae:.2f}",
        ]
        for fit in fits
    ]


def _draw_reliability(result: BundleResult, path: Path) -> None:
    """Observed against predicted shares in bins of equal width, with the number of films."""
    prediction, films = result.predictions[FULL_FRAMES], result.truths[FULL_FRAMES]
    joined = prediction.images.merge(films.labels[["image_id", "pneumonia"]], on="image_id")
    known = joined[joined["pneumonia"].isin([0, 1])]
    probability = known["p_pneumonia"].to_numpy(np.float64)
    number = np.minimum((probability * BINS).astype(int), BINS - 1)
    table = pd.DataFrame(
        {"bin": number, "p": probability, "y": known["pneumonia"].to_numpy(np.float64)}
    ).groupby("bin")
    means, counts = table.mean(), table.size()
    with figure_at(path, 3.4, 3.2) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        axes.plot(means["p"], means["y"], "o-", color=COLOURS[0])
        for x, y, count in zip(means["p"], means["y"], counts, strict=True):
            axes.annotate(
                str(count), (x, y), xytext=(4, -9), textcoords="offset points", fontsize=6
            )
        axes.set_xlabel("predicted P(opacity)")
        axes.set_ylabel("share of films with an opacity")
        axes.set_title(f"{len(known)} full frames, test")
