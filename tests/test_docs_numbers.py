"""README and the first page of results repeat the numbers of the JSON files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
README, FIRST_PAGE = "README.md", "docs/results/README.md"


def number(value):
    return f"{value:.3f}".replace("0.", ".", 1)


def interval(estimate):
    return f"{number(estimate['value'])} [{number(estimate['low'])}, {number(estimate['high'])}]"


def bundle_lines():
    """What both pages must say of `open_2`, by page."""
    bundles = json.loads((RESULTS / "open-2.json").read_text("utf-8"))["bundles"]
    bundle = bundles["open_2"]
    films, severity = bundle["films"], interval(bundle["severity"]["pearson"])
    words = {name: number(one["value"]) for name, one in bundle["words"].items()}
    zones = ("upper", "middle", "lower")

    def test(group, metric, name="open_2"):
        return interval(bundles[name]["tests"][group][metric]["estimate"])

    def error(group, which):
        return interval(bundle["calibration"][group][which])

    def boxes(group):
        return f"{films[group]['true_boxes']:,} boxes"

    iou, ap, auc = "iou_at_0.5", "ap_at_0.5", "film_auc"
    children = f"{films['children']['evaluated']} children's films"
    boxed = sum(films[group]["with_boxes"] for group in ("rsna", "siim"))
    own = [error(group, "at_own") for group in ("rsna", "siim", "children")]
    half = [error(group, "as_predicted") for group in ("rsna", "siim", "children")]
    return {
        README: [
            f"{films['rsna']['evaluated']} RSNA films, {boxes('rsna')} | IoU@.25 | "
            f"{test('rsna', 'iou_at_0.25')} |",
            f"| the same | IoU@.5 | {test('rsna', iou)} |",
            f"{films['siim']['evaluated']} SIIM films, {boxes('siim')} | IoU@.5 | "
            f"{test('siim', iou)} |",
            f"| RSNA | AP@.5 | {test('rsna', ap)} |",
            f"| SIIM | AP@.5 | {test('siim', ap)} |",
            f"| RSNA, against normal films | AUC | {interval(bundle['rsna_against_normal'])} |",
            f"| SIIM | AUC | {test('siim', auc)} |",
            f"| {children} | AUC | {test('children', auc)} |",
            f"| RSNA | calibration error; by default | {own[0]}; {half[0]} |",
            f"| SIIM | the same | {own[1]}; {half[1]} |",
            f"| children | the same | {own[2]}; {half[2]} |",
            f"{bundle['severity']['films']} COVID films, cross-validated | "
            f"correlation with the expert | {severity} |",
            f"| {boxed} films with boxes | AUC of `left`; `right` | "
            f"{words['left']}; {words['right']} |",
            f"AUC of `upper`; `middle`; `lower` | {'; '.join(words[zone] for zone in zones)} |",
        ],
        FIRST_PAGE: [
            f"IoU@.5 {test('rsna', iou)}, {boxes('rsna')} of RSNA; {test('siim', iou)}, "
            f"{films['siim']['true_boxes']:,} of SIIM",
            f"AP@.5 {test('rsna', ap)} RSNA; {test('siim', ap)} SIIM",
            f"AUC {test('rsna', auc)} RSNA; {test('siim', auc)} SIIM; "
            f"{test('children', auc)} children",
            f"calibration error {own[0]} RSNA; {own[1]} SIIM; {own[2]} children",
            f"by default {half[0]}, {half[1]} and {half[2]}",
            f"AUC left {words['left']}, right {words['right']}, "
            + ", ".join(f"{zone} {words[zone]}" for zone in zones),
            f"r {severity}",
            f"IoU@.5 {test('rsna', iou, 'open_lite0')} RSNA; "
            f"{test('siim', iou, 'open_lite0')} SIIM",
        ],
    }


def siim_lines():
    """What both pages must say of dictated reports on SIIM films, by page."""
    table = json.loads((RESULTS / "table1-siim.json").read_text("utf-8"))
    rows = {row["method"]: row for row in table["rows"]}
    found = {name: number(row["iou_50"]) for name, row in rows.items()}

    def minus(a, b):
        return {
            one["metric"]: f"{number(one['mean'])} [{number(one['low'])}, {number(one['high'])}]"
            for one in table["diffs"]
            if (one["a"], one["b"]) == (a, b)
        }

    words = minus("report_adapted", "shuffled")
    gates, own = minus("proposed", "retinanet"), minus("proposed", "proposed_shuffled")
    sides = minus("proposed", "proposed_sides")
    films = rows["retinanet"]["films"]
    return {
        README: [
            f"they raise IoU@.5 on {films} real films from {found['retinanet']} to "
            f"{found['report_adapted']}.",
            f"reach {found['shuffled']}, so a film's own words add {words['iou_50']}.",
            f"IoU@.5 rises from {found['retinanet']} to {found['proposed']} on the same films, and "
            f"AP@.5 by {own['ap_50']} more than with shuffled reports.",
        ],
        FIRST_PAGE: [
            f"IoU@.5 +{words['iou_50']}, AP@.5 +{words['ap_50']}",
            f"IoU@.5 +{gates['iou_50']}, AP@.5 +{gates['ap_50']}",
            f"minus words of other films: AP@.5 +{own['ap_50']}, IoU@.5 +{own['iou_50']}",
            f"less by {sides['iou_50']}; AP@.5 less by {sides['ap_50']}.",
        ],
    }


@pytest.mark.parametrize("lines", [bundle_lines, siim_lines])
@pytest.mark.parametrize("page", [README, FIRST_PAGE])
def test_the_pages_repeat_the_numbers_of_the_results(page, lines):
    text = " ".join((ROOT / page).read_text("utf-8").split())
    missing = [line for line in lines()[page] if line not in text]
    assert not missing, "\n".join(missing)
