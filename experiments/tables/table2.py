"""`write_table2`: severity and attributes of a prediction as JSON, Markdown and a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_manifests.support.atomic import write_json, write_text
from detector.run.provenance import provenance
from experiments.tables.attributes import AttributeReference, AttributeRow
from experiments.tables.rows import estimate_cell
from experiments.tables.severity_figure import SeverityPoints, draw_severity
from experiments.tables.zones import ZoneRow
from localize.evaluation.bootstrap import Estimate
from localize.severity.agreement import SeverityAgreement

PAPER_ATTRIBUTES = "The paper reports 95.6 % accuracy and AUC .84 on MIMIC-CXR."
PAPER_SEVERITY = (
    "On the 94 Cohen films the paper reports r = .82 (MAE 1.12, R2 .59) for P(severe); BS-Net has "
    "r = .874, MAE .87. Other films than these."
)


@dataclass(frozen=True)
class Target:
    """A severity score: its column in `labels.csv`, its name for the reader, its highest value."""

    column: str
    name: str
    top: float


@dataclass(frozen=True)
class SeverityRow:
    """One score against one target; errors are given in the target's unit and as shares of it."""

    target: Target
    fit: SeverityAgreement


@dataclass(frozen=True)
class Table2:
    """Both halves of the table, the points of its figure, and what it was made from.

    `zones` is empty where nobody scored zones.
    """

    dataset: str
    severity: list[SeverityRow]
    points: list[SeverityPoints]
    attributes: list[AttributeRow]
    references: list[AttributeReference]
    attribute_truth: str
    provenance: Mapping[str, Any]
    data: Mapping[str, str]
    zones: Sequence[ZoneRow] = ()


def write_table2(table: Table2, folder: Path, stem: str, *, command: str) -> str:
    """Write `STEM.json`, `STEM.md` and `STEM.png`; returns the Markdown."""
    rows = [
        row
        for one in table.severity
        for row in (_json(table, one, 1.0), _json(table, one, one.target.top))
    ]
    write_json(
        folder / f"{stem}.json",
        {
            "command": command,
            "provenance": {**provenance(), **table.provenance, "data_sha256": dict(table.data)},
            "rows": rows,
            "attributes": [asdict(row) for row in table.attributes],
            "attribute_references": [asdict(row) for row in table.references],
            "zones": [asdict(row) for row in table.zones],
        },
    )
    draw_severity(table.points, folder / f"{stem}.png")
    text = _markdown(table, stem, command)
    write_text(folder / f"{stem}.md", text)
    return text


def _json(table: Table2, row: SeverityRow, divisor: float) -> dict[str, Any]:
    """The row in the target's unit (`divisor` 1), or as shares of its range."""
    fit, top = row.fit, row.target.top / divisor
    return {
        "dataset": table.dataset,
        "target": row.target.column,
        "score": fit.score,
        "scale": f"0-{top:.0f}",
        "films": fit.films,
        "patients": fit.patients,
        "pearson": fit.pearson,
        "pearson_low": fit.low,
        "pearson_high": fit.high,
        "pearson_p": fit.pearson_p,
        "spearman": fit.spearman,
        "spearman_p": fit.spearman_p,
        "r2": fit.r2,
        "mae": None if fit.mae is None else fit.mae / divisor,
        "mse": None if fit.mse is None else fit.mse / divisor**2,
    }


def _markdown(table: Table2, stem: str, command: str) -> str:
    lines = [
        "# Table 2: severity and attributes from films alone",
        "",
        f"`{command}`",
        "",
        f"**Severity**, {table.dataset}. Models (`severity`: P(pneumonia), its logit, the boxes' "
        "extent in each half) and errors are out of fold, five folds grouped by patient; a single "
        "feature is correlated as it is. Brackets: 95 % bootstrap over patients. p takes films as "
        "independent.",
        "",
        PAPER_SEVERITY,
        "",
        "| target | score | films | patients | Pearson r | p | Spearman | p | R2 | MAE | MSE "
        "| MAE 0-1 | MSE 0-1 |",
        "|---" * 13 + "|",
    ]
    for row in table.severity:
        fit, top = row.fit, row.target.top
        cells = [
            f"{row.target.name} (0-{top:.0f})",
            fit.score,
            str(fit.films),
            str(fit.patients),
            estimate_cell(Estimate(fit.pearson, fit.low, fit.high)),
            _p(fit.pearson_p),
            _two(fit.spearman),
            _p(fit.spearman_p),
            _two(fit.r2),
            _two(fit.mae),
            _two(fit.mse),
            _three(fit.mae, top),
            _three(fit.mse, top**2),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    if table.zones:
        lines += [
            "",
            "**Zones.** The boxes' extent in each of Brixia's six zones (score times share of the "
            "film, nothing fitted) against the senior reader's score of it (0-3), and how well the "
            "junior reader agrees with the senior one.",
            "",
            "| zone | films | patients | boxes: Pearson r | second reader: Pearson r |",
            "|---|---|---|---|---|",
        ]
    for zone in table.zones:
        cells = [f"{zone.zone}, {zone.name}", str(zone.films), str(zone.patients)]
        cells += [estimate_cell(zone.pearson), estimate_cell(zone.readers)]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        f"![Predicted against true severity]({stem}.png)",
        "",
        f"**Attributes** against {table.attribute_truth}. {PAPER_ATTRIBUTES} Accuracy of a rare "
        "keyword is high for who always says no: that accuracy is given, too. `all`: the mean "
        "over keywords; AUC and AP where both kinds occur. The last columns are of who answers to "
        "every keyword with its usual probability times P(pneumonia), and times whether the film "
        "truly has any keyword: no attribute is read.",
        "",
        "| keyword | films | with it | accuracy | AUC | AP | calibration error | always no "
        f"| {' | '.join(f'AUC of {one.knows}' for one in table.references)} |",
        "|---" * (8 + len(table.references)) + "|",
    ]
    for k, attribute in enumerate(table.attributes):
        cells = [attribute.keyword, str(attribute.films), str(attribute.positives)]
        cells += [
            estimate_cell(one)
            for one in (attribute.accuracy, attribute.auc, attribute.ap, attribute.ece)
        ]
        cells.append(_three(attribute.always_no, 1.0))
        cells += [_three(one.rows[k].auc.value, 1.0) for one in table.references]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _three(value: float | None, divisor: float) -> str:
    return "-" if value is None else f"{value / divisor:.3f}"


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return "< .0001" if value < 1e-4 else f"{value:.4f}".removeprefix("0")
