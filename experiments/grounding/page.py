"""`write_grounding`: `grounding.json` and `grounding.md`, phantom rows and real films."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data_manifests.support.arrays import Floats
from data_manifests.support.atomic import write_json, write_text
from data_manifests.support.errors import DataError, Problem
from detector.run.provenance import provenance
from experiments.grounding.cells import cell, estimate_json, number
from experiments.grounding.phantom import (
    ROWS,
    GroundingTable,
    PhantomGrounding,
)
from experiments.grounding.real_lines import real_lines

STEM = "grounding"
COMMAND = "pneumoloc experiment grounding --data DATA --out WORK --results docs/results"
Content = Mapping[str, Any]  # Any: whatever JSON holds


def phantom_content(table: GroundingTable, run: PhantomGrounding) -> dict[str, Any]:
    """The rows on phantom films, and the paired differences to `neither`."""
    rows = []
    neither = table.rows["neither"]
    for aids in ROWS:
        one = table.rows[aids.name]
        absent = np.where(table.is_absent, one.has_box, np.nan)
        values = {
            "dice": one.dice,
            "miou": one.miou,
            "accuracy": one.is_hit,
            "negated_with_box": absent,
            "multi_region": one.all_regions,
            "diff_accuracy": one.is_hit - neither.is_hit,
        }
        found = table.estimates_of(values)
        accuracy = found["accuracy"]
        rows.append(
            {
                "data": "phantom",
                "anatomy": aids.anatomy,
                "structuring": aids.structuring,
                "dice": found["dice"].value,
                "miou": found["miou"].value,
                "accuracy": accuracy.value,
                "low": accuracy.low,
                "high": accuracy.high,
                "negated_with_box": found["negated_with_box"].value,
                "no_region": _complement(found["negated_with_box"].value),
                "multi_region": found["multi_region"].value,
                "accuracy_minus_neither": estimate_json(found["diff_accuracy"]),
                "accuracy_by_finding": _by_finding(one.is_hit, table.findings),
            }
        )
    return {
        "rows": rows,
        "phantom": {
            "seeds": list(table.seeds),
            "patients": len(np.unique(table.patients)),
            "findings": len(table.findings),
            "with_region": int((~table.is_absent).sum()),
            "with_several_regions": int(np.isfinite(neither.all_regions).sum()),
            "train_films": run.size.train,
            "test_films": run.size.test,
            "epochs": run.training.epochs,
        },
    }


def read_lungs(results: Path) -> dict[str, Any]:
    """Dice of the lung network in `lungs.json` of the same folder; nothing where it is not there.

    Raises:
        DataError: the file is damaged.
    """
    found = _read_json(results / "lungs.json", "pneumoloc experiment lungs evaluate")
    return {"lungs": found["lungs"]} if "lungs" in found else {}


def read_content(results: Path) -> dict[str, Any]:
    """The results that are there, to be added to; nothing where there are none.

    Raises:
        DataError: the file is damaged.
    """
    return _read_json(results / f"{STEM}.json", "pneumoloc experiment grounding")


def _read_json(path: Path, command: str) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        problem = Problem(str(path), f"results of `{command}`", str(error))
        raise DataError.from_problems([problem]) from error


def write_grounding(content: Content, results: Path) -> str:
    """Write JSON and page; returns the page."""
    results.mkdir(parents=True, exist_ok=True)
    full = {**content, "command": COMMAND, "provenance": provenance()}
    write_json(results / f"{STEM}.json", full)
    return write_page(full, results)


def write_page(content: Content, results: Path) -> str:
    """The page of a result's JSON."""
    lines = ["# Grounding of report sentences", "", f"```\n{COMMAND}\n```", ""]
    if "rows" in content:
        lines += _phantom_lines(content)
    if "place_boxes" in content:
        lines += _place_lines(content["place_boxes"])
    if "rsna_dictated" in content:
        lines += real_lines(content)
    page = "\n".join(lines) + "\n"
    write_text(results / f"{STEM}.md", page)
    return page


def _phantom_lines(content: Content) -> list[str]:
    about = content["phantom"]
    lines = [
        "## A grounding network on phantom films",
        "",
        f"{len(about['seeds'])} seeds, each with {about['train_films']} training films and "
        f"networks of its own; {about['findings']} findings of {about['patients']} test patients, "
        f"{about['with_region']} of them with a region. Films, reports and lungs are simulated; "
        "the second channel holds the true lungs. Dice is that of the map, mIoU the mean over "
        "thresholds .1 to .5, accuracy the share of findings with IoU above .1 at threshold .1 "
        "(Ichinose et al. 2023, table 1). A denied finding has a box if a part of its map reaches "
        ".3, a threshold chosen on another seed. Several regions: every region has a box of its "
        "own with IoU .1. Brackets: 95 % intervals over patients.",
        "",
        "| anatomy | structuring | Dice | mIoU | accuracy | minus neither | denied, with a box | "
        "several regions |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in content["rows"]:
        difference = row["accuracy_minus_neither"]
        is_first = not (row["anatomy"] or row["structuring"])
        cells = [
            "yes" if row["anatomy"] else "no",
            "yes" if row["structuring"] else "no",
            number(row["dice"]),
            number(row["miou"]),
            f"{number(row['accuracy'])} [{number(row['low'])}, {number(row['high'])}]",
            "" if is_first else cell(difference, signed=True),
            number(row["negated_with_box"]),
            number(row["multi_region"]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    names = sorted(content["rows"][0]["accuracy_by_finding"])
    lines += ["", f"| accuracy | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for row in content["rows"]:
        aids = [name for name in ("anatomy", "structuring") if row[name]]
        cells = [number(row["accuracy_by_finding"][name]) for name in names]
        lines.append(f"| {' and '.join(aids) or 'neither'} | {' | '.join(cells)} |")
    return [*lines, ""]


def _place_lines(places: Content) -> list[str]:
    return [
        "## Boxes from words of place alone",
        "",
        "The methods `place` and `heart` of `pneumoloc ground` look at the lungs and at no other "
        "pixel. Share of the phantom findings above whose box has IoU .5 with the true one, with "
        "segmented, true and average lungs; and share whose box (segmented lungs) holds the centre "
        "of the true one. The lung network was trained on other phantom films.",
        "",
        "| finding | findings | segmented | true | average | holds the centre |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {row['findings']} | {number(row['segmented'])} | {number(row['lungs'])} | "
            f"{number(row['average'])} | {number(row['centre'])} |"
            for name, row in places.items()
        ),
        "",
    ]


def _by_finding(values: Floats, findings: tuple[str, ...]) -> dict[str, float]:
    names = np.array(findings)
    kinds = sorted({name for name, value in zip(findings, values, strict=True) if value == value})
    return {name: float(np.nanmean(values[names == name])) for name in kinds}


def _complement(value: float | None) -> float | None:
    return None if value is None else 1 - value
