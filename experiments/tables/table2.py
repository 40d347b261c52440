"""`Table2`: severity and attributes of a prediction, as JSON, Markdown page and figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_manifests.support.atomic import write_json, write_text
from detector.run.provenance import provenance
from experiments.core.phantom_seed import DATASET as PHANTOM
from experiments.tables.attributes import AttributeReference, AttributeRow
from experiments.tables.rows import estimate_cell, read_list
from experiments.tables.severity_figure import SeverityPoints, draw_severity
from experiments.tables.zones import ZoneRow
from localize.evaluation.bootstrap import Estimate
from localize.severity.agreement import SeverityAgreement

PAPER_ATTRIBUTES = "The paper reports 95.6 % accuracy and AUC .84 on MIMIC-CXR."
PAPER_SEVERITY = (
    "On the 94 Cohen films the paper reports r = .82 (MAE 1.12, R2 .59) for P(severe); BS-Net has "
    "r = .874, MAE .87. Those are other films than these."
)
COVID = "COVID films"


@dataclass(frozen=True)
class Target:
    """A severity score: its column in `labels.csv`, its name for the reader, its highest value."""

    column: str
    name: str
    top: float


COHEN = Target("severity", "Cohen, geographic extent", 8.0)
TARGETS = {
    PHANTOM: (Target("severity", "planted extent", 8.0),),
    COVID: (
        COHEN,
        Target("covidnet_geographic", "COVID-Net, geographic extent", 8.0),
        Target("brixia_S_Global", "Brixia, global", 18.0),
    ),
}
ATTRIBUTE_TRUTH = {
    PHANTOM: "the planted attributes, whether the report mentions them or not",
    COVID: "attributes mined from the clinical note (real text; not mentioned counts as no)",
}


@dataclass(frozen=True)
class SeverityRow:
    """One score against one target, in the target's unit."""

    target: Target
    fit: SeverityAgreement


@dataclass(frozen=True)
class Table2:
    """Everything on the page of a table; `zones` is empty where nobody scored zones."""

    command: str
    dataset: str
    severity: Sequence[SeverityRow]
    attributes: Sequence[AttributeRow]
    references: Sequence[AttributeReference]
    provenance: Mapping[str, Any]
    data: Mapping[str, str]
    zones: Sequence[ZoneRow] = ()

    def as_json(self) -> dict[str, Any]:
        """The content of `table2-*.json`; each severity row in the target's unit and on 0-1."""
        return {
            "command": self.command,
            "provenance": {**provenance(), **self.provenance, "data_sha256": dict(self.data)},
            "rows": [
                row
                for one in self.severity
                for row in (_json(self, one, 1.0), _json(self, one, one.target.top))
            ],
            "attributes": [asdict(row) for row in self.attributes],
            "attribute_references": [asdict(row) for row in self.references],
            "zones": [asdict(row) for row in self.zones],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Table2:
        """A written table."""
        dataset = content["rows"][0]["dataset"]
        targets = {one.column: one for one in TARGETS[dataset]}
        settings = content["provenance"]
        return cls(
            command=content["command"],
            dataset=dataset,
            severity=[
                SeverityRow(targets[row["target"]], _read_fit(row))
                for row in content["rows"][::2]  # the others are on 0-1
            ],
            attributes=read_list(AttributeRow, content["attributes"]),
            references=read_list(AttributeReference, content["attribute_references"]),
            provenance=settings,
            data=settings["data_sha256"],
            zones=read_list(ZoneRow, content["zones"]),
        )


def write_table2(table: Table2, points: Sequence[SeverityPoints], folder: Path, stem: str) -> str:
    """Write `STEM.json`, `STEM.md` and `STEM.png` (from `points`); returns the Markdown."""
    write_json(folder / f"{stem}.json", table.as_json())
    draw_severity(points, folder / f"{stem}.png")
    return write_page(table, folder, stem)


def write_page(table: Table2, folder: Path, stem: str) -> str:
    """Write `STEM.md`; returns it."""
    text = _markdown(table, stem)
    write_text(folder / f"{stem}.md", text)
    return text


def _read_fit(row: Mapping[str, Any]) -> SeverityAgreement:
    """The inverse of `_json` in the target's unit."""
    return SeverityAgreement(
        score=row["score"],
        films=row["films"],
        patients=row["patients"],
        pearson=row["pearson"],
        low=row["pearson_low"],
        high=row["pearson_high"],
        spearman=row["spearman"],
        r2=row["r2"],
        mae=row["mae"],
        mse=row["mse"],
        pearson_p=row["pearson_p"],
        spearman_p=row["spearman_p"],
    )


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


def _markdown(table: Table2, stem: str) -> str:
    lines = ["# Table 2: severity and attributes from films alone", "", f"`{table.command}`", ""]
    lines += _severity_lines(table) + _zone_lines(table)
    lines += ["", f"![Predicted against true severity]({stem}.png)", ""]
    return "\n".join(lines + _attribute_lines(table)) + "\n"


def _severity_lines(table: Table2) -> list[str]:
    lines = [
        f"**Severity**, {table.dataset}. `severity` is a ridge model of P(pneumonia), its logit "
        "and the boxes' extent in each half of the film. Models and errors are out of fold, five "
        "folds grouped by patient; a single feature is correlated as it is. Brackets: 95 % "
        "bootstrap intervals over patients. p takes films as independent.",
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
    return lines


def _zone_lines(table: Table2) -> list[str]:
    if not table.zones:
        return []
    lines = [
        "",
        "**Zones.** Extent of the boxes in each of Brixia's six zones (score times share of the "
        "film, nothing fitted) against the senior reader's score (0-3); and the junior reader "
        "against the senior.",
        "",
        "| zone | films | patients | boxes: Pearson r | second reader: Pearson r |",
        "|---|---|---|---|---|",
    ]
    for zone in table.zones:
        cells = [f"{zone.zone}, {zone.name}", str(zone.films), str(zone.patients)]
        cells += [estimate_cell(zone.pearson), estimate_cell(zone.readers)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _attribute_lines(table: Table2) -> list[str]:
    heads = [f"AUC of {one.knows}" for one in table.references]
    lines = [
        f"**Attributes** against {ATTRIBUTE_TRUTH[table.dataset]}. {PAPER_ATTRIBUTES} `all` is the "
        "mean over keywords; AUC and AP where both classes occur. Always no: accuracy of never "
        "predicting the keyword, high for rare ones. The last columns are baselines that know no "
        "attribute: the keyword's mean probability times P(pneumonia), and times whether the film "
        "truly has any keyword.",
        "",
        "| keyword | films | with it | accuracy | AUC | AP | calibration error | always no "
        f"| {' | '.join(heads)} |",
        "|---" * (8 + len(heads)) + "|",
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
    return lines


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _three(value: float | None, divisor: float) -> str:
    return "-" if value is None else f"{value / divisor:.3f}"


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return "< .0001" if value < 1e-4 else f"{value:.4f}".removeprefix("0")
