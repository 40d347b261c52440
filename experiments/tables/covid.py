"""`covid_table`: boxes on COVID films against lesions, lungs' opacity and the pixels of masks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_manifests.support.arrays import Bools, Floats
from data_manifests.support.atomic import file_sha256, write_json, write_text
from detector.run.provenance import provenance
from experiments.core.covid_boxes import CovidBoxes
from experiments.data.masked_films import FOLDER, MaskedFilms
from experiments.tables.rows import estimate_cell
from localize.evaluation.average_precision import average_precision_measure
from localize.evaluation.bootstrap import Estimate, bootstrap_values, estimates
from localize.evaluation.film_boxes import make_film_boxes
from localize.evaluation.measure import Measure, ratio_measure
from localize.evaluation.top_k_recall import box_recall_measure
from localize.prediction.film_prediction import FilmPrediction

STEM = "covid-boxes"
REPLICATES, SEED = 1000, 0
THRESHOLDS = np.array([0.25, 0.5, 0.75])
PIXEL_BOXES = 2  # of each film: one for each lung, as many as both trivial controls have
LESIONS, OPACITIES = "lesion", "lung"
PIXELS = ("dice", "area", "precision", "recall")
DIFFERENCES = (
    ("report_adapted", "open_lite0"),
    ("report_adapted", "shuffled"),
    ("report_adapted", "finding"),
    ("report_adapted", "more_steps"),
    ("report_adapted", "open_lite0_size_prior"),
    ("report_adapted", "truth"),
    ("open_2", "open_2_size_prior"),
    ("open_2", "open_2_bundle"),
    ("open_2", "open_lite0"),
    ("open_2", "average_boxes"),
    ("open_2", "lung_boxes"),
    ("open_lite0", "open_lite0_size_prior"),
)
BUNDLES = {
    "open_2": "the package's detector alone, which has learned boxes of RSNA and SIIM",
    "open_2_bundle": "the same, ranked by its localizer, as `predict` does",
    "open_2_size_prior": "the same detector's ROIs ranked by logit + c log area, c of the highest "
    "IoU@.5 on RSNA's and SIIM's validation films",
    "open_lite0": "the detector of the bundle before, which has learned boxes of RSNA",
    "open_lite0_bundle": "the same, ranked by its localizer",
    "open_lite0_size_prior": "its ROIs ranked by size as well, c chosen as above: most of those "
    "films are SIIM's, whose boxes are larger than the detector's",
}
ADAPTED = {
    "report_adapted": "`open_lite0`, trained further on reports dictated for SIIM films "
    "([table 1, siim](table1-siim.md))",
    "shuffled": "control: the same with words of other films",
    "sides_prior": "control: the same with the named sides alone",
    "sides": "control: the best ROI on each named side",
    "finding": "control: the best ROI of films with a finding",
    "own": "control without text: its own best ROI",
    "more_steps": "control: as many more steps on RSNA's boxes",
    "truth": "oracle: SIIM's true boxes",
}
CONTROLS = {
    "average_boxes": "the median box of each half of RSNA's training films on every film; no "
    "pixel is read",
    "lung_boxes": "the data set's boxes of both lungs: they know where the lungs are and nothing "
    "of opacity",
    "true_boxes": "the boxes of the lesions themselves, the largest first: what boxes can reach",
}
MEANINGS = BUNDLES | ADAPTED | CONTROLS
Content = Mapping[str, Any]  # Any: what JSON holds


@dataclass(frozen=True)
class CovidTable:
    """`rows` and `differences` hold an `Estimate` for each metric."""

    rows: dict[str, dict[str, Estimate]]
    differences: dict[tuple[str, str], dict[str, Estimate]]
    films: int
    patients: int


def covid_table(masked: MaskedFilms, found: CovidBoxes) -> CovidTable:
    """Score every method; intervals resample patients, differences are paired."""
    patients = np.unique(masked.films.images["patient_id"], return_inverse=True)[1]
    values: dict[str, Floats] = {}
    keys: tuple[str, ...] = ()
    for name, films in found.films.items():
        measures = _measures(masked, films)
        keys = tuple(key for one in measures for key in one.keys)
        values[name] = bootstrap_values(
            measures,
            patients,
            replicates=REPLICATES,
            seed=SEED,
            largest=sum(len(film.scores) for film in films),
        )
    return CovidTable(
        {name: dict(zip(keys, estimates(one), strict=True)) for name, one in values.items()},
        {
            (a, b): dict(zip(keys, estimates(values[a] - values[b]), strict=True))
            for a, b in DIFFERENCES
        },
        len(patients),
        int(patients.max()) + 1,
    )


def _measures(masked: MaskedFilms, films: Sequence[FilmPrediction]) -> list[Measure]:
    measures = []
    for kind, true in ((LESIONS, masked.lesions), (OPACITIES, masked.opacities)):
        counts = [len(film.scores) for film in films]
        boxes = make_film_boxes(
            np.concatenate([film.boxes.xyxy for film in films]),
            np.concatenate([film.scores for film in films]),
            np.repeat(np.arange(len(films)), counts),
            np.concatenate(true),
            np.repeat(np.arange(len(films)), [len(one) for one in true]),
            films=len(films),
        )
        first = boxes.first(boxes.true_counts())
        measures += [
            box_recall_measure(f"{kind}_iou", first, THRESHOLDS),
            average_precision_measure(boxes, np.array([0.5]), keys=(f"{kind}_ap_at_0.5",)),
        ]
    overlaps = [
        [
            *pixel_overlap(film.boxes.xyxy[:PIXEL_BOXES], mask),
            pixel_overlap(film.boxes.xyxy[: len(true)], mask)[0],
        ]
        for film, mask, true in zip(films, masked.masks, masked.lesions, strict=True)
    ]
    keys = (*PIXELS, "dice_k_lesions")
    return [*measures, ratio_measure(keys, np.array(overlaps), np.ones((len(films), 1)))]


def pixel_overlap(boxes: Floats, mask: Bools) -> tuple[float, float, float, float]:
    """Dice of the union of boxes (N, 4) with a mask (height, width), the union's share of the film,
    the share of it that is opacity, and the share of the opacity in it; 0 without boxes."""
    covered = np.zeros(mask.shape, bool)
    for x1, y1, x2, y2 in np.rint(boxes).astype(int):
        covered[max(y1, 0) : y2, max(x1, 0) : x2] = True
    both, area, true = (covered & mask).sum(), covered.sum(), mask.sum()
    return (
        float(2 * both / max(area + true, 1)),
        float(area / mask.size),
        float(both / max(area, 1)),
        float(both / max(true, 1)),
    )


def write_covid(
    table: CovidTable,
    masked: MaskedFilms,
    found: CovidBoxes,
    data: Path,
    folder: Path,
    command: str,
) -> str:
    """Write `covid-boxes.json` and its page; returns the page."""
    content = {
        "command": command,
        "films": table.films,
        "patients": table.patients,
        "lesions": sum(map(len, masked.lesions)),
        "lung_opacities": sum(map(len, masked.opacities)),
        "opacity_area": float(np.mean([mask.mean() for mask in masked.masks])),
        "rows": [
            {"method": name, "metrics": {key: asdict(one) for key, one in metrics.items()}}
            for name, metrics in table.rows.items()
        ],
        "differences": [
            {"a": a, "b": b, "metrics": {key: asdict(one) for key, one in metrics.items()}}
            for (a, b), metrics in table.differences.items()
        ],
        "detectors_sha256": found.detectors,
        "size_prior_exponents": found.exponents,
        "provenance": {
            **provenance(),
            "replicates": REPLICATES,
            "seed": SEED,
            "metadata_sha256": file_sha256(data / FOLDER / "metadata.csv"),
            "boxes_sha256": file_sha256(data / FOLDER / "boxes.csv"),
        },
    }
    write_json(folder / f"{STEM}.json", content)
    page = covid_page(json.loads(json.dumps(content)))
    write_text(folder / f"{STEM}.md", page)
    return page


BOX_HEADS = {
    "lesion_iou_at_0.25": "lesions IoU@.25",
    "lesion_iou_at_0.5": "lesions IoU@.5",
    "lesion_ap_at_0.5": "lesions AP@.5",
    "lung_iou_at_0.5": "lungs IoU@.5",
    "lung_ap_at_0.5": "lungs AP@.5",
}
PIXEL_HEADS = {
    "dice": "Dice",
    "area": "area of the boxes",
    "precision": "of it opacity",
    "recall": "opacity found",
    "dice_k_lesions": "Dice, k = lesions",
}
DIFFERENCE_KEYS = ("lesion_iou_at_0.5", "lesion_ap_at_0.5", "lung_iou_at_0.5", *PIXELS)


def covid_page(content: Content) -> str:
    """The page of a `covid-boxes.json`."""
    rows = {row["method"]: row["metrics"] for row in content["rows"]}
    differences = {f"{row['a']} | {row['b']}": row["metrics"] for row in content["differences"]}
    exponents = ", ".join(
        f"{name} {value:g}" for name, value in content["size_prior_exponents"].items()
    )
    return "\n".join(
        [
            "# Boxes on COVID films with opacity masks",
            "",
            f"`{content['command']}`",
            "",
            f"{content['films']} films of {content['patients']} patients, all with an opacity. No "
            "detector or localizer here was trained on films of these patients. **These films are "
            "no untouched test**: older tables have used them, what was seen there led to the "
            "truths and controls of this page, and the severity score and the film guard of both "
            "bundles were fitted on films of these patients, too.",
            "",
            "What counts as a true box decides who wins, so there are three truths:",
            "",
            f"- **lesions**: a box for each connected part of the mask ({content['lesions']} "
            "boxes), which is what the detectors' own boxes mean;",
            f"- **lungs**: one box around all opacity of a lung ({content['lung_opacities']} "
            "boxes), the convention of [table 1, open](table1-open.md);",
            f"- **pixels**: the mask itself ({content['opacity_area']:.3f} of a film's area), "
            f"against the union of the film's {PIXEL_BOXES} best boxes: one for each lung, as many "
            "as both trivial controls have. A gain in Dice with a larger area, a lower share of "
            "opacity in it and a higher share found is a gain of larger boxes. The last column "
            "takes as many boxes as the film has lesions.",
            "",
            "Brackets: 95 % bootstrap intervals over patients; differences are paired.",
            "",
            "**Boxes**",
            "",
            *_table("method", rows, BOX_HEADS),
            "**Pixels**",
            "",
            *_table("method", rows, PIXEL_HEADS),
            "**Differences**",
            "",
            *_table(
                "method | minus",
                differences,
                {key: (BOX_HEADS | PIXEL_HEADS)[key] for key in DIFFERENCE_KEYS},
            ),
            "**Methods**",
            "",
            *(f"- `{name}`: {MEANINGS[name]}" for name in rows),
            "",
            f"Exponents c of the size priors: {exponents}.",
            "",
        ]
    )


def _table(first: str, rows: Mapping[str, Content], heads: Mapping[str, str]) -> list[str]:
    lines = [
        f"| {first} | {' | '.join(heads.values())} |",
        "|---" * (len(heads) + 1 + first.count("|")) + "|",
    ]
    for name, metrics in rows.items():
        cells = (estimate_cell(Estimate(**metrics[key])) for key in heads)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, ""]
