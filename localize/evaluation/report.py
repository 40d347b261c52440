"""`Evaluation`: the result of `evaluate`, as JSON and as Markdown tables."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from localize.evaluation.bootstrap import Estimate

FORMAT_VERSION = 1
# Two readers on the same 38 films (NIH boxes against RSNA boxes), IoU@.25/.5/.75.
HUMAN_AGREEMENT = {"iou_at_0.25": 0.842, "iou_at_0.5": 0.579, "iou_at_0.75": 0.079}
SECTIONS = (
    ("iou_at", "IoU@T: true boxes found by the top k, k = true boxes of the film"),
    ("union_iou_at", "IoU@T of the best box with the union of the true boxes (k = 1 per film)"),
    ("best_iou_at", "Best available: IoU@T if any of the film's boxes could be chosen"),
    ("best_union_iou_at", "Best available box against the union"),
    ("ap_", "COCO average precision"),
    ("rsna_", "RSNA challenge score"),
    ("froc_", "FROC: sensitivity at false positives per film"),
    ("iobb_", "IoBB accuracy (films with boxes)"),
    ("afp_", "False positives per film with boxes"),
    ("pointing_", "Pointing game"),
    ("film_", "Film level: P(pneumonia)"),
    ("attribute_", "Attributes"),
)


@dataclass(frozen=True)
class MetricRow:
    """One metric; `baseline` and the paired `difference` (own - baseline) where there is one."""

    key: str
    estimate: Estimate
    baseline: Estimate | None = None
    difference: Estimate | None = None


@dataclass(frozen=True)
class FilmCounts:
    """What was evaluated: films, and those that take no part in some or all metrics."""

    evaluated: int
    patients: int
    with_boxes: int
    true_boxes: int
    boxes_unknown: int
    pneumonia: int
    no_pneumonia: int
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Evaluation:
    """All metrics of a prediction, in a fixed order; undefined values are None."""

    rows: tuple[MetricRow, ...]
    films: FilmCounts
    seed: int
    replicates: int
    score_threshold: float
    baseline_score_threshold: float | None

    def row(self, key: str) -> MetricRow:
        """The row of a metric, for example `iou_at_0.5`.

        Raises:
            KeyError: no such metric was computed.
        """
        for row in self.rows:
            if row.key == key:
                return row
        raise KeyError(key)

    def value(self, key: str) -> float | None:
        """The value of a metric; None where it is undefined."""
        return self.row(key).estimate.value

    def to_json(self) -> str:
        """The whole evaluation as a JSON object; undefined is null."""
        content = {
            "format_version": FORMAT_VERSION,
            "films": asdict(self.films),
            "interval": "95% percentile interval of a bootstrap over patients",
            "seed": self.seed,
            "replicates": self.replicates,
            "score_threshold": self.score_threshold,
            "baseline_score_threshold": self.baseline_score_threshold,
            "human_agreement": HUMAN_AGREEMENT,
            "metrics": {
                row.key: {
                    **asdict(row.estimate),
                    **({"baseline": asdict(row.baseline)} if row.baseline else {}),
                    **({"difference": asdict(row.difference)} if row.difference else {}),
                }
                for row in self.rows
            },
        }
        return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def to_markdown(self) -> str:
        """Tables for a person, one a family of metrics; the readers' agreement below IoU@T."""
        films = self.films
        lines = [
            f"{films.evaluated} films of {films.patients} patients; {films.with_boxes} films with "
            f"{films.true_boxes} true boxes; boxes unknown on {films.boxes_unknown}; "
            f"{films.pneumonia} with and {films.no_pneumonia} without pneumonia; "
            f"{len(films.skipped)} skipped.",
            f"95% intervals: bootstrap over patients, {self.replicates} resamples, seed "
            f"{self.seed}. Box score threshold for the RSNA score, IoBB and AFP: "
            f"{self.score_threshold:.4g}.",
        ]
        if films.skipped:
            shown = ", ".join(_cell(name) for name in films.skipped[:20])
            more = f" and {len(films.skipped) - 20} more" if len(films.skipped) > 20 else ""
            lines.append(f"Skipped: {shown}{more}.")
        for prefix, title in SECTIONS:
            rows = [row for row in self.rows if row.key.startswith(prefix)]
            if rows:
                lines += ["", f"### {title}", "", *self._table(rows)]
            if rows and prefix == "iou_at":
                lines += [
                    "",
                    "For comparison: the boxes of two groups of readers (NIH's against RSNA's) on "
                    "38 other films agree with .842/.579/.079 at IoU .25/.5/.75.",
                ]
        return "\n".join(lines) + "\n"

    def _table(self, rows: list[MetricRow]) -> list[str]:
        has_baseline = self.baseline_score_threshold is not None
        head = ["metric", "value [95% interval]"]
        head += ["baseline", "difference"] if has_baseline else []
        lines = [_line(head), _line(["---"] * len(head))]
        for row in rows:
            cells = [row.key, _number(row.estimate)]
            cells += [_number(row.baseline), _number(row.difference)] if has_baseline else []
            lines.append(_line(cells))
        return lines


def _number(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return "undefined"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(text: str) -> str:
    """Text from the data, such as a film's name, with the signs of Markdown and HTML escaped."""
    escaped = "".join(c if c.isprintable() else " " for c in text[:80])
    for sign in "\\`*_|[]":
        escaped = escaped.replace(sign, "\\" + sign)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
