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
from experiments.core.grounding_phantom import (
    ROWS,
    GroundingTable,
    PhantomGrounding,
    mean_estimates,
)
from experiments.core.grounding_real import NamedBoxes, NoteBoxes
from localize.evaluation.bootstrap import Estimate
from localize.grounding.ground_report import GroundingRule

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
                "accuracy_minus_neither": _estimate(found["diff_accuracy"]),
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


def real_content(named: NamedBoxes, notes: NoteBoxes, rule: GroundingRule) -> dict[str, Any]:
    """The numbers on RSNA films with dictated sentences and on COVID films with notes."""
    found = mean_estimates(
        {
            "named": named.named,
            "best": named.best,
            "diff": named.named - named.best,
            "best_any": named.best_any,
            "side": named.side_right,
        },
        named.patients,
    )
    touching = mean_estimates(
        {"touches": notes.touches, "chance": notes.random_touches}, notes.patients
    )
    return {
        "rsna_dictated": {
            "named_iou_50": found["named"].value,
            "best_box_iou_50": found["best"].value,
            "diff": _estimate(found["diff"]),
            "side_right": found["side"].value,
            "best_box_any_iou_50": found["best_any"].value,
            "sentences": len(named.named),
            "patients": len(np.unique(named.patients)),
        },
        "covid_notes": {
            "touches_mask": _estimate(touching["touches"]),
            "chance": _estimate(touching["chance"]),
            "boxes": len(notes.touches),
            "films": notes.films,
            "films_with_box": notes.grounded,
        },
        "rule": {"zone_sd": rule.weights.zone_sd, "area_sd": rule.weights.area_sd},
    }


def read_content(results: Path) -> dict[str, Any]:
    """The results that are there, to be added to; nothing where there are none.

    Raises:
        DataError: the file is damaged.
    """
    path = results / f"{STEM}.json"
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        problem = Problem(str(path), "results of `pneumoloc experiment grounding`", str(error))
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
        lines += _real_lines(content)
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
            _number(row["dice"]),
            _number(row["miou"]),
            f"{_number(row['accuracy'])} [{_number(row['low'])}, {_number(row['high'])}]",
            "" if is_first else _cell(difference, signed=True),
            _number(row["negated_with_box"]),
            _number(row["multi_region"]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    names = sorted(content["rows"][0]["accuracy_by_finding"])
    lines += ["", f"| accuracy | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for row in content["rows"]:
        aids = [name for name in ("anatomy", "structuring") if row[name]]
        cells = [_number(row["accuracy_by_finding"][name]) for name in names]
        lines.append(f"| {' and '.join(aids) or 'neither'} | {' | '.join(cells)} |")
    return [*lines, ""]


def _place_lines(places: Content) -> list[str]:
    return [
        "## Boxes from words of place alone",
        "",
        "The methods `place` and `heart` of `pneumoloc ground` look at the lungs and at no other "
        "pixel. Share of the phantom findings above whose box has IoU .5 with the true one, with "
        "the true lungs, and with the average lungs. The first is the score of such a box.",
        "",
        "| finding | findings | true lungs | average lungs |",
        "|---|---|---|---|",
        *(
            f"| {name} | {row['findings']} | {_number(row['lungs'])} | {_number(row['average'])} |"
            for name, row in places.items()
        ),
        "",
    ]


def _real_lines(content: Content) -> list[str]:
    rsna, covid, rule = content["rsna_dictated"], content["covid_notes"], content["rule"]
    return [
        "## Real films",
        "",
        f"RSNA: {rsna['sentences']} sentences of {rsna['patients']} test patients, dictated from "
        "the readers' boxes (side and zone): they are simulated and always right. The rule "
        f"was chosen on validation films: zone_sd {rule['zone_sd']}, area_sd {rule['area_sd']}.",
        "",
        "| question | value |",
        "|---|---|",
        f"| the sentence's box overlaps the box that it was dictated from, IoU .5 | "
        f"{_number(rsna['named_iou_50'])} |",
        f"| the film's best box does | {_number(rsna['best_box_iou_50'])} |",
        f"| difference | {_cell(rsna['diff'], signed=True)} |",
        f"| the film's best box overlaps any true box | {_number(rsna['best_box_any_iou_50'])} |",
        f"| the sentence's box is on the stated side | {_number(rsna['side_right'])} |",
        "",
        f"COVID: {covid['films']} films with a clinical note and a mask of opacity; the notes of "
        f"{covid['films_with_box']} give {covid['boxes']} boxes. "
        f"{_cell(covid['touches_mask'])} of the boxes touch the mask; boxes of the same size "
        f"anywhere in the lungs would by {_cell(covid['chance'])}.",
        "",
    ]


def _by_finding(values: Floats, findings: tuple[str, ...]) -> dict[str, float]:
    names = np.array(findings)
    kinds = sorted({name for name, value in zip(findings, values, strict=True) if value == value})
    return {name: float(np.nanmean(values[names == name])) for name in kinds}


def _estimate(one: Estimate) -> dict[str, float | None]:
    return {"mean": one.value, "low": one.low, "high": one.high}


def _complement(value: float | None) -> float | None:
    return None if value is None else 1 - value


def _cell(one: Content, *, signed: bool = False) -> str:
    if one["mean"] is None:
        return "undefined"
    low, high = _number(one["low"]), _number(one["high"])
    return f"{'+' if signed and one['mean'] > 0 else ''}{_number(one['mean'])} [{low}, {high}]"


def _number(value: float | None) -> str:
    """Three decimals without the leading zero."""
    if value is None:
        return "undefined"
    text = f"{value:.3f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 and not text.startswith("1") else text
