"""`write_table1`: localization of all methods as JSON, Markdown and a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data_manifests.support.atomic import write_json, write_text
from detector.run.provenance import manifest_sha256, provenance
from experiments.core.films_run import FilmsResult
from experiments.core.judge import ControlDifference
from experiments.core.phantom_run import PhantomResult
from experiments.core.phantom_work import DATASET
from experiments.core.sides import SideCount
from experiments.methods.chosen_boxes import ChosenBoxes
from experiments.tables.controls import controls_json, controls_markdown
from experiments.tables.rows import (
    HUMAN,
    NOTHING,
    TableRow,
    estimate_cell,
    rows_markdown,
    table_row,
)
from experiments.tables.table1_figure import draw_table1

INTERVALS = (
    "IoU@T is the share of true boxes found one-to-one by the film's k best boxes, k its number of "
    "true boxes. Brackets: 95 % intervals of a bootstrap over patients; differences are paired."
)
READINGS = {
    "cam": "heat map of a film classifier trained on the labels of the boxed films; threshold from "
    "their validation split",
    "gradcam": "the same classifier; with global average pooling Grad-CAM at the last maps is CAM "
    "without its negative part",
    "retinanet": "the detector's own score",
    "proposed_no_classification": "the paper's form without the attribute loss",
    "proposed_printed": "the paper's form, `--preset paper`",
    "proposed_frozen": "our form of the attention, the detector as it is",
    "lung_prior": "the two median boxes of the training films on every film: no pixel is looked at",
    "roi_chance": "the detector's regions in random order, mean of the draws",
    "best_available": "the detector's regions chosen by who knows the true boxes: the ceiling of "
    "any ranking of these regions (no false positives, so its AP is its recall)",
}
ADAPTED = {
    "adapted": "our form on a detector that went on learning from",
    "adapted_detector": "the own score of a detector that went on learning from",
}
LEARNED_FROM = {
    "words": "the regions that the new films' reports vouch for: on every side they name the one "
    "that its score and all words of place and size fit best, none where they deny an opacity",
    "sides": "the region that scores best on every side that the new films' reports name, none "
    "where they deny an opacity",
    "finding": "the best region of every new film whose report states a finding, whatever its side",
    "own": "the best region of the half of the new films that score highest: no text",
    "none": "the old boxes alone, for as many steps",
    "regions": "the regions that lie best on the new films' true boxes, with the detector's edges: "
    "what a perfect choice of regions could give, by whatever text",
    "truth": "the new films' true boxes themselves",
}


@dataclass(frozen=True)
class Table1:
    """Rows, how often side words found their side, and what it was made from.

    `provenance` says seeds and settings, `data` the checksum of each set of films; `notes` are
    sentences for the reader; `controls` by set of films how far `proposed` is from its controls;
    `chosen` what the sources of adaptations choose, where that is known.
    """

    rows: list[TableRow]
    provenance: Mapping[str, Any]
    data: Mapping[str, str]
    notes: tuple[str, ...] = ()
    sides: Mapping[str, SideCount] = field(default_factory=dict)
    controls: Mapping[str, Sequence[ControlDifference]] = field(default_factory=dict)
    chosen: Sequence[ChosenBoxes] = ()


def phantom_table(result: PhantomResult, settings: Mapping[str, Any]) -> Table1:
    """The table of a phantom run."""
    rows = [
        table_row(DATASET, method, result.evaluations[method.name]) for method in result.methods
    ]
    seeds, epochs = settings["seeds"], settings["size"]["detector_epochs"]
    return Table1(
        rows=rows,
        provenance=settings,
        data={DATASET: manifest_sha256(result.truth)},
        notes=(
            f"Phantom films of {len(seeds)} seeds together, each with its own trainings. The "
            f"detector is trained on hospital A's boxes for {epochs} epochs; hospital B gives "
            "film-report pairs only. "
            "Text and films are simulated.",
        ),
        sides={name: count for name, count in result.sides.items() if count.asked},
        controls={DATASET: result.controls},
    )


def films_table(result: FilmsResult, settings: Mapping[str, Any], notes: tuple[str, ...]) -> Table1:
    """The table of a run on manifests."""
    parts = result.road.parts
    return Table1(
        rows=[
            table_row(test.name, method, result.evaluations[test.name, method.name])
            for test in result.tests
            for method in result.methods
        ],
        provenance=settings,
        data={
            "boxed": manifest_sha256(result.road.boxed),
            "pairs": manifest_sha256(parts.pairs),
            **{test.name: manifest_sha256(test.films) for test in result.tests},
        },
        notes=notes,
        controls=result.controls,
    )


def write_table1(table: Table1, folder: Path, stem: str, *, title: str, command: str) -> str:
    """Write `STEM.json`, `STEM.md` and `STEM.png`; returns the Markdown."""
    rows = []
    for row in table.rows:
        content = row.as_json()
        if row.method in table.sides:
            content["side_share"] = table.sides[row.method].share
            content["side_asked"] = table.sides[row.method].asked
        rows.append(content)
    write_json(
        folder / f"{stem}.json",
        {
            "command": command,
            "provenance": {**provenance(), **table.provenance, "data_sha256": dict(table.data)},
            "rows": rows,
            **controls_json(table.controls),
            **({"chosen_boxes": [asdict(row) for row in table.chosen]} if table.chosen else {}),
        },
    )
    draw_table1(table.rows, folder / f"{stem}.png")
    text = _markdown(table, stem, title, command)
    write_text(folder / f"{stem}.md", text)
    return text


def _markdown(table: Table1, stem: str, title: str, command: str) -> str:
    lines = [f"# {title}", "", f"`{command}`", "", *table.notes, "", INTERVALS, "", HUMAN, ""]
    lines += rows_markdown(table.rows)
    lines += controls_markdown(table.controls)
    lines += [f"![IoU@T of every method]({stem}.png)", ""]
    attributes = [row for row in table.rows if "attribute_macro_auc" in row.numbers]
    if attributes or table.sides:
        lines += [
            "**Words.** Attribute AUC: mean over the keywords that occur; pooled: all pairs of a "
            "film and a keyword together (the paper does not say which). Side: films with an "
            "opacity are asked for both sides; how often the region to which the attribute head "
            "says 'left' (or 'right') most surely lies there (.5 is chance).",
            "",
            "| method | attribute AUC | pooled | attribute accuracy | side |",
            "|---|---|---|---|---|",
        ]
    for row in attributes:
        share = table.sides[row.method].share if row.method in table.sides else None
        cells = [
            estimate_cell(row.numbers.get(key, NOTHING))
            for key in (
                "attribute_macro_auc",
                "attribute_pooled_auc",
                "attribute_macro_accuracy",
            )
        ]
        side = "-" if share is None else f"{share:.3f}"
        lines.append(f"| {row.method} | {' | '.join(cells)} | {side} |")
    if table.chosen:
        lines += [
            "",
            "**Chosen boxes** on hospital B's training films: the share that overlaps a true box. "
            "Only `regions` looks at the true boxes.",
            "",
            "| source | boxes | IoU .25 | IoU .5 | IoU .75 |",
            "|---|---|---|---|---|",
        ]
    for chosen in table.chosen:
        shares = " | ".join(f"{share:.3f}" for share in chosen.shares)
        lines.append(f"| {chosen.source} | {chosen.boxes} | {shares} |")
    used = {row.method: row.draws for row in table.rows}
    lines += ["", "**Methods.**", ""]
    specs = table.provenance.get("methods", ())
    said = method_readings(specs)
    adapts = {spec["name"] for spec in specs if spec["kind"] in ADAPTED}
    for name, draws in used.items():
        if name in said:
            several = name in adapts and draws > 1
            mean = f"; the mean of {draws} trainings from the one detector" if several else ""
            lines.append(f"- `{name}`: {said[name]}{mean}")
    return "\n".join(lines) + "\n"


def method_readings(methods: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What each method is, for the reader; `methods` are specifications as a preset has them."""
    adapted = {
        spec["name"]: f"{ADAPTED[spec['kind']]} {LEARNED_FROM[spec['adaptation']['source']]}"
        for spec in methods
        if spec["kind"] in ADAPTED
    }
    return READINGS | adapted
