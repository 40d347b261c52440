"""`rewrite_pages`: the Markdown pages of results, written again from their JSON files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_manifests.support.atomic import write_text
from data_manifests.support.errors import DataError
from experiments.attention import page as attention
from experiments.benchmark.report import markdown
from experiments.data import dictation, open_input
from experiments.grounding import page as grounding
from experiments.tables import ablation, corrections_report, covid, curves, table1, table2

NOT_HELD_OUT = (
    "Settings were chosen with results on these test films in view, so read the table as a "
    "development result."
)
COVID_BOXES = (
    "**The COVID differences do not show that notes move boxes.** The true boxes there enclose all "
    "opacity of one lung, where RSNA's readers boxed each opacity: a method that draws larger "
    "boxes gains, whatever it read. And the control without text (`adapted_by_itself`) calls half "
    "of the films empty, although nearly all have an opacity."
)
# Of docs/results/controlled-many-pairs-three-seeds.json; a test compares them.
THREE_SEEDS_FIGURES = "IoU@.5 -.023 [-.044, -.003]"
PUBLISHED_NOTES = {
    "controlled-many-pairs": "An earlier run on three seeds, with a detector of 10 epochs, had the "
    f"opposite sign: reports minus as many more steps {THREE_SEEDS_FIGURES} "
    "([three seeds](controlled-many-pairs-three-seeds.md)).",
    "controlled-many-pairs-three-seeds": "An earlier run than "
    "[many pairs](controlled-many-pairs.md): three seeds instead of two, and a detector of 10 "
    "epochs instead of 25. **As many more steps on hospital A's boxes (`trained_longer`) find more "
    f"boxes than the reports**: reports minus more steps {THREE_SEEDS_FIGURES}.",
}


def rewrite_pages(files: Sequence[Path]) -> list[Path]:
    """Write the page beside each JSON file; nothing is trained and no number changes.

    Figures that need more than the JSON holds (table 2) are left as they are.

    Raises:
        DataError: a file that no command here writes.
    """
    pages = []
    for file in files:
        folder, stem = file.parent, file.stem
        try:
            content = json.loads(file.read_text("utf-8"))
            _rewrite(content, folder, stem)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{file}: expected results of `pneumoloc experiment`, got {error!r}"
            ) from error
        pages.append(folder / f"{stem}.md")
    return pages


def _rewrite(content: Mapping[str, Any], folder: Path, stem: str) -> None:
    kind = stem.partition("-")[0]
    if stem == attention.STEM:
        write_text(folder / f"{stem}.md", attention.attention_page(content))
    elif kind in table1.TITLES:
        table = table1.Table1.from_json(content, published_notes(content, stem))
        table1.write_page(table, folder, stem)
    elif kind == "table2":
        table2.write_page(table2.Table2.from_json(content), folder, stem)
    elif kind == "curves":
        curves.write_page(curves.Curves.from_json(content), folder, stem)
    elif kind == "ablation":
        ablation.write_page(ablation.Ablation.from_json(content), folder, stem)
    elif kind == "corrections":
        corrections_report.write_page(content, folder)
    elif stem == covid.STEM:
        write_text(folder / f"{stem}.md", covid.covid_page(content))
    elif kind == grounding.STEM:
        grounding.write_page(content, folder)
    elif kind == "benchmark":
        write_text(folder / f"{stem}.md", markdown(content["rows"]))
    else:
        raise ValueError(f"no page for the name {stem!r}")


def published_notes(content: Mapping[str, Any], stem: str) -> Sequence[str]:
    """Notes of a published table, whose JSON has none of its own."""
    if "notes" in content:
        return ()
    if stem == "table1-open":
        return [*open_input.NOTES, NOT_HELD_OUT, COVID_BOXES]
    if stem == "table1-dictation":
        return [*dictation.NOTES, NOT_HELD_OUT]
    notes = [table1.phantom_note(content["provenance"]), NOT_HELD_OUT]
    return [*notes, PUBLISHED_NOTES[stem]] if stem in PUBLISHED_NOTES else notes
