"""`TableRow`: one method on one test set, as the tables under docs/results have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter

from experiments.methods.names import BASELINE
from localize.evaluation.bootstrap import Estimate
from localize.evaluation.report import HUMAN_AGREEMENT, Evaluation

Row = TypeVar("Row")
NOTHING = Estimate(None, None, None)
KEYS = {
    "iou_25": "iou_at_0.25",
    "iou_50": "iou_at_0.5",
    "iou_75": "iou_at_0.75",
    "ap_50": "ap_at_0.5",
}
HEADS = ("IoU@.25", "IoU@.5", "IoU@.75", "AP@.5")
# Further metrics, which need no score threshold. Those that a method does not predict are missing.
FURTHER = (
    "ap_at_0.25",
    "ap_at_0.75",
    "ap_50_95",
    "union_iou_at_0.5",
    "best_iou_at_0.25",
    "best_iou_at_0.5",
    "best_iou_at_0.75",
    "froc_0.5_mean",
    "pointing_hit_rate",
    "film_auc",
    "film_ece",
    "attribute_macro_auc",
    "attribute_pooled_auc",
    "attribute_macro_accuracy",
)
HUMAN = (
    "For comparison: the boxes of two groups of readers (NIH's against RSNA's) on 38 other films "
    "agree with IoU@.25/.5/.75 of "
    + "/".join(f"{value:.3f}".removeprefix("0") for value in HUMAN_AGREEMENT.values())
    + "."
)


@dataclass(frozen=True)
class TableRow:
    """Counts, the four main numbers and others with their intervals, the difference to RetinaNet.

    `differences` are paired, by metric; that of RetinaNet to itself is zero.
    """

    dataset: str
    method: str
    films: int
    boxes: int
    numbers: dict[str, Estimate]
    differences: dict[str, Estimate]
    repeats: int = 1

    def as_json(self) -> dict[str, Any]:
        """The row of `table1-*.json`."""
        difference = self.differences.get(KEYS["iou_50"], NOTHING)
        return {
            "dataset": self.dataset,
            "method": self.method,
            "films": self.films,
            "boxes": self.boxes,
            **{short: self.number(key).value for short, key in KEYS.items()},
            "diff_iou_50": estimate_json(difference),
            "intervals": {
                short: [self.number(key).low, self.number(key).high] for short, key in KEYS.items()
            },
            "metrics": {key: asdict(self.numbers[key]) for key in FURTHER if key in self.numbers},
            "draws": self.repeats,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> TableRow:
        """The row of a `table1-*.json`."""
        numbers = {
            key: Estimate(content[short], *content["intervals"][short])
            for short, key in KEYS.items()
        }
        numbers |= {key: Estimate(**value) for key, value in content["metrics"].items()}
        gain = content["diff_iou_50"]
        return cls(
            dataset=content["dataset"],
            method=content["method"],
            films=content["films"],
            boxes=content["boxes"],
            numbers=numbers,
            differences={KEYS["iou_50"]: Estimate(gain["mean"], gain["low"], gain["high"])},
            repeats=content["draws"],
        )

    def number(self, key: str) -> Estimate:
        """A metric with its interval; nothing where it was not computed."""
        return self.numbers.get(key, NOTHING)


def table_row(dataset: str, method: str, evaluation: Evaluation, repeats: int = 1) -> TableRow:
    """The row of one evaluation of `repeats` copies of the films."""
    numbers = {row.key: row.estimate for row in evaluation.rows}
    if method == BASELINE:
        differences = dict.fromkeys(numbers, Estimate(0.0, 0.0, 0.0))
    else:
        differences = {row.key: row.difference for row in evaluation.rows if row.difference}
    return TableRow(
        dataset=dataset,
        method=method,
        films=evaluation.films.evaluated // repeats,
        boxes=evaluation.films.true_boxes // repeats,
        numbers={key: numbers[key] for key in (*KEYS.values(), *FURTHER) if key in numbers},
        differences=differences,
        repeats=repeats,
    )


def rows_markdown(rows: Sequence[TableRow]) -> list[str]:
    """A table a test set: boxes, the difference and films, with 95 % intervals."""
    lines: list[str] = []
    for dataset in dict.fromkeys(row.dataset for row in rows):
        part = [row for row in rows if row.dataset == dataset]
        lines += [
            f"**{dataset}**: {part[0].films} films, {part[0].boxes} true boxes.",
            "",
            f"| method | {' | '.join(HEADS)} | IoU@.5 minus RetinaNet | film AUC |",
            "|---" * (len(HEADS) + 3) + "|",
        ]
        for row in part:
            cells = [estimate_cell(row.number(key)) for key in KEYS.values()]
            has_difference = row.method != BASELINE
            difference = row.differences.get(KEYS["iou_50"], NOTHING)
            cells.append(estimate_cell(difference) if has_difference else "-")
            cells.append(estimate_cell(row.number("film_auc")))
            lines.append(f"| {row.method} | {' | '.join(cells)} |")
        lines.append("")
    return lines


def read_list(row: type[Row], content: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Dataclasses from the objects that `asdict` made of them, nested ones too."""
    return TypeAdapter(list[row]).validate_python(content)  # type: ignore[valid-type] # pydantic


def estimate_json(estimate: Estimate) -> dict[str, float | None]:
    """A difference as the tables' JSON has it."""
    return {"mean": estimate.value, "low": estimate.low, "high": estimate.high}


def estimate_cell(estimate: Estimate) -> str:
    """`value [low, high]`, or `-` where there is none."""
    if estimate.value is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
