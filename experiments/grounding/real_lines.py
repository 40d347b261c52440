"""`real_content` and `real_lines`: grounding on real films, as JSON and as a part of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.grounding.cells import cell, estimate_json, number
from experiments.grounding.notes import NoteBoxes, NoteComparison
from experiments.grounding.phantom import mean_estimates
from experiments.grounding.real import BoxedGrounding, DictatedGrounding

Content = Mapping[str, Any]  # Any: whatever JSON holds


def real_content(boxed: BoxedGrounding, notes: NoteComparison) -> dict[str, Any]:
    """The numbers on films with dictated sentences, test and validation, and on COVID films with
    notes."""
    return {
        **{f"{group}_dictated": _dictated(one) for group, one in boxed.test.items()},
        "validation": {f"{group}_dictated": _dictated(one) for group, one in boxed.val.items()},
        "covid_notes": {**_notes(notes.lungs), "average_film": _notes(notes.average)},
        "rule": {
            "zone_sd": boxed.rule.weights.zone_sd,
            "area_sd": boxed.rule.weights.area_sd,
        },
    }


def _dictated(one: DictatedGrounding) -> dict[str, Any]:
    lungs, average = one.lungs, one.average
    found = mean_estimates(
        {
            "named": lungs.named,
            "best": lungs.best,
            "diff": lungs.named - lungs.best,
            "best_any": lungs.best_any,
            "side": lungs.side_right,
            "average": average.named,
            "gain": lungs.named - average.named,
        },
        lungs.patients,
    )
    own = mean_estimates(
        {
            "named": one.lungs_own.named,
            "average": one.average_own.named,
            "gain": one.lungs_own.named - one.average_own.named,
        },
        one.lungs_own.patients,
    )
    return {
        "named_iou_50": found["named"].value,
        "best_box_iou_50": found["best"].value,
        "diff": estimate_json(found["diff"]),
        "side_right": found["side"].value,
        "best_box_any_iou_50": found["best_any"].value,
        "sentences": len(lungs.named),
        "patients": len(np.unique(lungs.patients)),
        "average_film": {
            "named_iou_50": found["average"].value,
            "lungs_minus_average": estimate_json(found["gain"]),
        },
        "dictated_by_own_lungs": {
            "named_iou_50": own["named"].value,
            "average_film": own["average"].value,
            "lungs_minus_average": estimate_json(own["gain"]),
            "sentences": len(one.lungs_own.named),
        },
    }


def _notes(notes: NoteBoxes) -> dict[str, Any]:
    found = mean_estimates(
        {
            "touches": notes.touches,
            "chance": notes.random_touches,
            "inside": notes.inside,
        },
        notes.patients,
    )
    return {
        "touches_mask": estimate_json(found["touches"]),
        "chance": estimate_json(found["chance"]),
        "share_under_mask": estimate_json(found["inside"]),
        "boxes": len(notes.touches),
        "films": notes.films,
        "films_with_box": notes.grounded,
    }


def real_lines(content: Content) -> list[str]:
    """The page's part on real films."""
    covid, rule = content["covid_notes"], content["rule"]
    groups = {name: f"{name}_dictated" for name in ("rsna", "siim")}
    parts = {
        **{f"{name}, test": content[key] for name, key in groups.items()},
        **{f"{name}, validation": content["validation"][key] for name, key in groups.items()},
    }
    return [
        "## Real films",
        "",
        "Sentences are dictated from the readers' boxes (side and zone): they are simulated and "
        "always right. The rule was chosen on the validation films: zone_sd "
        f"{rule['zone_sd']}, area_sd {rule['area_sd']}. A hit: the sentence's box overlaps the box "
        "that it was dictated from, IoU .5.",
        "",
        "| films | sentences | patients | sentence's box hits | film's best box hits | "
        "difference | stated side | best box hits any true box |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {name} | {one['sentences']} | {one['patients']} | {number(one['named_iou_50'])} | "
            f"{number(one['best_box_iou_50'])} | {cell(one['diff'], signed=True)} | "
            f"{number(one['side_right'])} | {number(one['best_box_any_iou_50'])} |"
            for name, one in parts.items()
        ),
        "",
        "### Lungs of the film against lungs of the average film",
        "",
        "Hits of the sentence's box. Sides and zones are dictated by the average film, as in the "
        "table above, or by the film's own lungs.",
        "",
        "| films | dictated by | own lungs | average film | difference |",
        "|---|---|---|---|---|",
        *(line for name, one in parts.items() for line in _gain_lines(name, one)),
        "",
        "### Notes",
        "",
        f"{covid['films']} COVID films with a clinical note and a mask of opacity. Chance: boxes "
        "of the same size anywhere in the lungs.",
        "",
        "| lungs | films with a box | boxes | touch the mask | chance | share of a box under it |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {one['films_with_box']} | {one['boxes']} | {cell(one['touches_mask'])} | "
            f"{cell(one['chance'])} | {cell(one['share_under_mask'])} |"
            for name, one in (("own", covid), ("average film", covid["average_film"]))
        ),
        "",
    ]


def _gain_lines(name: str, one: Content) -> list[str]:
    average, own = one["average_film"], one["dictated_by_own_lungs"]
    return [
        f"| {name} | average film | {number(one['named_iou_50'])} | "
        f"{number(average['named_iou_50'])} | "
        f"{cell(average['lungs_minus_average'], signed=True)} |",
        f"| {name} | own lungs | {number(own['named_iou_50'])} | {number(own['average_film'])} | "
        f"{cell(own['lungs_minus_average'], signed=True)} |",
    ]
