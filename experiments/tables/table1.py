"""`Table1`: localization of all methods, as JSON, Markdown page and figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data_manifests.support.atomic import write_json, write_text
from detector.run.provenance import manifest_sha256, provenance
from experiments.core.evaluate_methods import MethodDifference
from experiments.core.manifest_run import ManifestResult
from experiments.core.phantom_run import PhantomResult
from experiments.core.phantom_seed import DATASET
from experiments.core.presets import PhantomPreset
from experiments.core.side_accuracy import SideAccuracy
from experiments.methods.names import description
from experiments.methods.pseudo_label_quality import PseudoLabelQuality
from experiments.tables.differences import (
    differences_json,
    differences_markdown,
    read_differences,
)
from experiments.tables.rows import (
    HUMAN,
    NOTHING,
    TableRow,
    estimate_cell,
    read_list,
    rows_markdown,
    table_row,
)
from experiments.tables.table1_figure import draw_table1

FORMAT_VERSION = 2  # published tables without one use the names of `PUBLISHED_NAMES`
TITLES = {
    "table1": "Table 1: localization",
    "controlled": "Does text from hospital B move the boxes? Controls on the phantom",
}
INTERVALS = (
    "IoU@T: share of true boxes matched one-to-one by the film's top k boxes, k its number of true "
    "boxes. Brackets: 95 % bootstrap intervals over patients; differences are paired."
)
ATTRIBUTE_KEYS = ("attribute_macro_auc", "attribute_pooled_auc", "attribute_macro_accuracy")


@dataclass(frozen=True)
class Table1:
    """Everything on the page of a table.

    Args:
        command: the command line that makes it.
        rows: one for each method and test set.
        provenance: settings and seeds.
        data: SHA-256 of each set of films.
        notes: sentences for the reader.
        sides: accuracy of side words by method.
        differences: paired differences to controls.
        pseudo_labels: quality of pseudo-labels by source, where true boxes are known.
        is_published: method names are those of published tables.
    """

    command: str
    rows: Sequence[TableRow]
    provenance: Mapping[str, Any]
    data: Mapping[str, str]
    notes: Sequence[str] = ()
    sides: Mapping[str, SideAccuracy] = field(default_factory=dict)
    differences: Sequence[MethodDifference] = ()
    pseudo_labels: Sequence[PseudoLabelQuality] = ()
    is_published: bool = False

    def as_json(self) -> dict[str, Any]:
        """The content of `table1-*.json`."""
        rows = []
        for row in self.rows:
            content = row.as_json()
            if row.method in self.sides:
                side = self.sides[row.method]
                content |= {"side_share": side.share, "side_asked": side.asked}
            rows.append(content)
        content = {
            "format_version": FORMAT_VERSION,
            "command": self.command,
            "notes": list(self.notes),
            "provenance": {**provenance(), **self.provenance, "data_sha256": dict(self.data)},
            "rows": rows,
        }
        if self.differences:
            content["diffs"] = differences_json(self.differences)
        if self.pseudo_labels:
            content["chosen_boxes"] = [asdict(one) for one in self.pseudo_labels]
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any], notes: Sequence[str] = ()) -> Table1:
        """A written table; `notes` for a published one, which has none of its own."""
        sides = {
            row["method"]: SideAccuracy(
                row["side_asked"], round(row["side_share"] * row["side_asked"])
            )
            for row in content["rows"]
            if "side_share" in row
        }
        return cls(
            command=content["command"],
            rows=[TableRow.from_json(row) for row in content["rows"]],
            provenance=content["provenance"],
            data=content["provenance"]["data_sha256"],
            notes=content.get("notes", notes),
            sides=sides,
            differences=read_differences(content),
            pseudo_labels=read_list(PseudoLabelQuality, content.get("chosen_boxes", ())),
            is_published="format_version" not in content,
        )


def phantom_table(result: PhantomResult, preset: PhantomPreset, command: str) -> Table1:
    """The table of a phantom run."""
    settings = preset.model_dump(mode="json")
    return Table1(
        command=command,
        rows=[
            table_row(DATASET, one.name, result.evaluations[one.name], one.repeats)
            for one in result.methods
        ],
        provenance=settings,
        data={DATASET: manifest_sha256(result.truth)},
        notes=[phantom_note(settings)],
        sides=result.sides,
        differences=result.differences,
    )


def phantom_note(settings: Mapping[str, Any]) -> str:
    """What the reader of a phantom table must know, from the preset's settings."""
    seeds, epochs = settings["seeds"], settings["size"]["detector_epochs"]
    return (
        f"Simulated films and reports of {len(seeds)} seeds, each with its own trainings. The "
        f"detector is trained on hospital A's boxes for {epochs} epochs. Hospital B gives "
        "film-report pairs, no boxes."
    )


def manifest_table(result: ManifestResult, command: str) -> Table1:
    """The table of a run on manifests."""
    films = result.run.films
    return Table1(
        command=command,
        rows=[
            table_row(test.name, one.name, result.evaluations[test.name, one.name], one.repeats)
            for test in films.tests
            for one in result.methods
        ],
        provenance=result.run.preset.model_dump(mode="json"),
        data={
            "boxed": manifest_sha256(films.boxed),
            "pairs": manifest_sha256(films.pairs),
            **{test.name: manifest_sha256(test.films) for test in films.tests},
        },
        notes=films.notes,
        differences=result.differences,
        pseudo_labels=result.pseudo_labels,
    )


def write_table1(table: Table1, folder: Path, stem: str) -> str:
    """Write `STEM.json`, `STEM.md` and `STEM.png`; returns the Markdown."""
    write_json(folder / f"{stem}.json", table.as_json())
    return write_page(table, folder, stem)


def write_page(table: Table1, folder: Path, stem: str) -> str:
    """Write `STEM.md` and `STEM.png`; returns the Markdown."""
    draw_table1(table.rows, folder / f"{stem}.png")
    text = _markdown(table, stem)
    write_text(folder / f"{stem}.md", text)
    return text


def _markdown(table: Table1, stem: str) -> str:
    lines = [f"# {TITLES[stem.partition('-')[0]]}", "", f"`{table.command}`"]
    lines += [line for note in table.notes for line in ("", note)]
    lines += ["", INTERVALS, "", HUMAN, "", *rows_markdown(table.rows)]
    lines += differences_markdown(table.differences)
    lines += [f"![IoU@T of every method]({stem}.png)"]
    lines += _attribute_lines(table) + _pseudo_label_lines(table)
    legend = [line for row in table.rows if (line := _legend_line(row, table.is_published))]
    if legend:
        lines += ["", "**Methods**", "", *dict.fromkeys(legend)]
    return "\n".join(lines) + "\n"


def _attribute_lines(table: Table1) -> list[str]:
    rows = [row for row in table.rows if "attribute_macro_auc" in row.numbers]
    if not rows:
        return []
    lines = [
        "",
        "**Attributes.** AUC is the mean over the keywords that occur; pooled AUC takes all pairs "
        "of film and keyword together (the paper does not say which it reports). Side: share of "
        "films with an opacity in which the ROI with the highest probability of 'left' (or "
        "'right') lies on that side; .5 is chance.",
        "",
        "| method | attribute AUC | pooled | attribute accuracy | side |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [estimate_cell(row.numbers.get(key, NOTHING)) for key in ATTRIBUTE_KEYS]
        share = table.sides[row.method].share if row.method in table.sides else None
        cells.append("-" if share is None else f"{share:.3f}")
        lines.append(f"| {row.method} | {' | '.join(cells)} |")
    return lines


def _pseudo_label_lines(table: Table1) -> list[str]:
    if not table.pseudo_labels:
        return []
    lines = [
        "",
        "**Pseudo-label boxes** on hospital B's training films: share that overlaps a true box. "
        "`regions` is an oracle, which chooses by the true boxes.",
        "",
        "| source | boxes | IoU .25 | IoU .5 | IoU .75 |",
        "|---|---|---|---|---|",
    ]
    for one in table.pseudo_labels:
        shares = " | ".join(f"{share:.3f}" for share in one.shares)
        lines.append(f"| {one.source} | {one.boxes} | {shares} |")
    return lines


def _legend_line(row: TableRow, is_published: bool) -> str:
    text = description(row.method, is_published=is_published)
    if text is None:
        return ""
    repeats = f"; mean of {row.repeats} repeats" if row.repeats > 1 else ""
    return f"- `{row.method}`: {text}{repeats}"
