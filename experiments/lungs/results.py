"""`evaluate_lungs`: everything that is measured of the lung fields, and its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from data_manifests.films.read_film import read_film
from data_manifests.support.atomic import write_json, write_text
from data_manifests.tables.manifest import Manifest
from detector.lungs.lung_fields import LungFields
from detector.lungs.packaged import PACKAGED, load_segmenter, read_description
from detector.lungs.segment import LungSegmenter
from detector.run.provenance import manifest_sha256, provenance
from experiments.core.box_bundle import covid_films, scored_films, validation_films
from experiments.data.box_films import TEST_GROUPS, box_films
from experiments.data.lung_films import COVID, lung_films
from experiments.data.open_films import ZONE_COLUMNS
from experiments.lungs.covid_uses import (
    HALVES,
    LUNGS,
    SeverityRow,
    ZoneTable,
    held_out_part,
    severity_rows,
    zone_table,
)
from experiments.lungs.dice import DiceRow, dice_rows
from experiments.lungs.fields_of_films import fields_of_films
from experiments.lungs.places import PlaceRow, place_rows
from experiments.lungs.roi_prior import PriorRow, prior_rows
from experiments.lungs.spoilt_films import SpoiltRow, spoilt_rows
from experiments.tables.rows import estimate_cell
from localize.bundle.bundle import load_bundle
from localize.bundle.packaged import PACKAGED_BUNDLE
from localize.evaluation.bootstrap import Estimate
from localize.inference.film_list import manifest_films
from localize.inference.options import PredictOptions
from localize.inference.predict_films import predict_films
from localize.pipeline.cached import cached
from localize.prediction.tables import Prediction, read_prediction, write_prediction

COMMAND = "pneumoloc experiment lungs evaluate --data DATA --out WORK --results docs/results"
FOUND_FILMS = 100  # of each group of test films without masks
SEED = 0


@dataclass(frozen=True)
class FoundRow:
    """Ordinary test films without masks: shares with both lungs, with one, with none."""

    group: str
    films: int
    both: float
    one: float
    none: float


@dataclass(frozen=True)
class LungResults:
    """All tables; `severity_difference` is of Pearson's r, lung fields minus halves."""

    dice: Sequence[DiceRow]
    spoilt: Sequence[SpoiltRow]
    found: Sequence[FoundRow]
    places: Sequence[PlaceRow]
    zones: Sequence[ZoneTable]
    severity: Sequence[SeverityRow]
    severity_difference: Estimate
    prior: Sequence[PriorRow]


def evaluate_lungs(data: Path, work: Path, device: torch.device) -> LungResults:
    """Measure the package's lung network; predictions of the package's bundle are kept in `work`.

    Raises:
        DataError: a missing table, film or mask.
    """
    segmenter = load_segmenter(device=device)
    masked = [film for film in lung_films(data) if film.split == "test"]
    films = box_films(data)
    covid = covid_films(data)
    covid_masked = [film for film in masked if film.group == COVID]
    scored = _scored_or_masked(covid, {film.image_id for film in covid_masked})
    predicted = _predicted(scored, work / "covid", device)
    fields = fields_of_films(segmenter, scored)
    severity, difference = severity_rows(predicted, scored, fields, seed=SEED)
    validation = validation_films(films)
    boxed = validation.subset(
        validation.images["source"].isin([*TEST_GROUPS["rsna"], *TEST_GROUPS["siim"]])
    )
    return LungResults(
        dice=dice_rows(segmenter, masked, seed=SEED),
        spoilt=spoilt_rows(segmenter, covid_masked, seed=SEED),
        found=found_rows(segmenter, films.split("test")),
        places=place_rows(predicted, covid_masked, fields, seed=SEED),
        zones=[
            zone_table("all", predicted, scored, fields, seed=SEED),
            zone_table("held out", held_out_part(predicted, scored), scored, fields, seed=SEED),
        ],
        severity=severity,
        severity_difference=difference,
        prior=prior_rows(
            _predicted(boxed, work / "validation", device),
            boxed,
            fields_of_films(segmenter, boxed),
            seed=SEED,
        ),
    )


def found_rows(segmenter: LungSegmenter, films: Manifest) -> list[FoundRow]:
    """A row for each group, on films drawn from a seed."""
    rng = np.random.default_rng(SEED)
    rows = []
    for group, sources in TEST_GROUPS.items():
        part = films.subset(films.images["source"].isin(sources))
        chosen = rng.permutation(len(part.images))[:FOUND_FILMS]
        paths = part.film_paths()
        found: list[LungFields] = [
            segmenter.fields(read_film(paths[int(row)]).pixels) for row in chosen
        ]
        complete = np.mean([one.is_complete for one in found])
        any_lung = np.mean([one.is_found for one in found])
        rows.append(
            FoundRow(
                group,
                len(found),
                float(complete),
                float(any_lung - complete),
                float(1 - any_lung),
            )
        )
    return rows


def write_lung_results(results: LungResults, data: Path, folder: Path) -> str:
    """Write `lungs.json` and `lungs.md` into `folder`; returns the page."""
    description = read_description(PACKAGED)
    covid = next(row for row in results.dice if row.group == COVID)
    content = {
        "command": COMMAND,
        "seed": SEED,
        "weights_sha256": description.sha256,
        "provenance": {**provenance(), "data": manifest_sha256(covid_films(data))},
        "lungs": {
            "dice_right": covid.dice_right.value,
            "dice_left": covid.dice_left.value,
            "patients": covid.patients,
        },
        **asdict(results),
    }
    write_json(folder / "lungs.json", content)
    page = lung_page(results)
    write_text(folder / "lungs.md", page)
    return page


def lung_page(results: LungResults) -> str:
    """The page of all tables."""
    lines = [
        "# Lung fields",
        "",
        f"```\n{COMMAND}\n```",
        "",
        "Held-out patients; brackets: 95 % intervals of a bootstrap over patients.",
        "",
        "## Against masks",
        "",
        "Mean Dice over films, on the pixels that the source's masks know: V7's masks of COVID "
        "films have no heart, JSRT's lungs lack the part behind the heart.",
        "",
        "| source | films | patients | right lung | left lung | heart | a lung missing | sides "
        "swapped |",
        "|---" * 8 + "|",
    ]
    for row in results.dice:
        cells = [_cell(one) for one in (row.dice_right, row.dice_left, row.dice_heart)]
        lines.append(
            f"| {row.group} | {row.films} | {row.patients} | {' | '.join(cells)} | "
            f"{row.incomplete} | {row.swapped} |"
        )
    lines += [
        "",
        "## Ordinary test films without masks",
        "",
        "| films of | films | both lungs found | one | none |",
        "|---" * 5 + "|",
    ]
    for one in results.found:
        lines.append(
            f"| {one.group} | {one.films} | {one.both:.2f} | {one.one:.2f} | {one.none:.2f} |"
        )
    lines += [
        "",
        "## Spoilt films",
        "",
        "The COVID test films, each changed; Dice of the lungs that were found, against masks "
        "changed alike (of a mirrored film: with the sides as displayed). Turned: the reason says "
        "that the film is on its side or upside down.",
        "",
        "| change | pictures | both lungs | one | none | said to be turned | Dice right | Dice "
        "left |",
        "|---" * 8 + "|",
    ]
    for spoilt in results.spoilt:
        dice = [_number(value) for value in (spoilt.dice_right, spoilt.dice_left)]
        lines.append(
            f"| {spoilt.kind} | {spoilt.pictures} | {spoilt.both:.2f} | {spoilt.one:.2f} | "
            f"{spoilt.none:.2f} | {spoilt.said_turned:.2f} | {' | '.join(dice)} |"
        )
    lines += [
        "",
        "## Sides and zones of boxes",
        "",
        "Share of the predicted boxes on COVID test films whose side or zone is that by the masks "
        "of the lungs.",
        "",
        "| word | boxes | films | patients | average film | lung fields | difference |",
        "|---" * 7 + "|",
    ]
    for place in results.places:
        lines.append(
            f"| {place.word} | {place.boxes} | {place.films} | {place.patients} | "
            f"{_cell(place.halves)} | {_cell(place.lungs)} | {_cell(place.difference)} |"
        )
    lines += [
        "",
        "## Brixia zones",
        "",
        "Pearson's r of the boxes' extent in each zone with the senior reader's score; nothing is "
        "fitted. Halves of the film: each box's share of the film times its score, in thirds of "
        "the average film. Lung fields: share of the zone of the film's own lungs, each pixel "
        "times the highest score of its boxes.",
        "",
        "| films | zone | films | patients | halves of the film | lung fields | second reader |",
        "|---" * 7 + "|",
    ]
    for table in results.zones:
        for halves, lungs in zip(table.rows[HALVES], table.rows[LUNGS], strict=True):
            lines.append(
                f"| {table.films} | {halves.zone}, {halves.name} | {halves.films} | "
                f"{halves.patients} | {_cell(halves.pearson)} | {_cell(lungs.pearson)} | "
                f"{_cell(halves.readers)} |"
            )
    lines += [
        "",
        "## Severity",
        "",
        "Out of fold, the same five folds by patient, against Cohen's geographic extent. The "
        "features of extent are those of the halves of the film, of the lungs, or both.",
        "",
        "| features | films | patients | Pearson r | MAE |",
        "|---" * 5 + "|",
    ]
    for fold in results.severity:
        lines.append(
            f"| {fold.features} | {fold.films} | {fold.patients} | {_cell(fold.pearson)} | "
            f"{_cell(fold.mae)} |"
        )
    lines += [
        "",
        f"Difference of r, lung fields minus halves: {_cell(results.severity_difference)}.",
        "",
        "## Boxes outside the lungs",
        "",
        "Validation films. Each score times the box's share inside the lungs to a power; power 0 "
        "is no prior. Differences are paired.",
        "",
        "| films of | power | IoU@.25 | IoU@.5 | AP@.5 | difference of AP@.5 |",
        "|---" * 6 + "|",
    ]
    for prior in results.prior:
        difference = prior.differences["ap_at_0.5"]
        cells = [_cell(value) for value in prior.values.values()]
        cells.append("-" if difference is None else _cell(difference))
        lines.append(f"| {prior.group} | {prior.strength:g} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _scored_or_masked(covid: Manifest, masked: Set[str]) -> Manifest:
    """Films that Brixia's readers or an expert of severity have scored, and held-out ones with
    masks."""
    severity = set(scored_films(covid).images["image_id"])
    zones = covid.labels[list(ZONE_COLUMNS)].apply(pd.to_numeric, errors="coerce")
    brixia = set(covid.labels.loc[zones.notna().all(axis=1), "image_id"])
    return covid.subset(covid.images["image_id"].isin(severity | brixia | masked))


def _predicted(films: Manifest, folder: Path, device: torch.device) -> Prediction:
    """The package's bundle on these films, cached."""
    bundle = load_bundle(PACKAGED_BUNDLE)

    def build(out: Path) -> None:
        found = predict_films(bundle, manifest_films(films), PredictOptions(), device)
        write_prediction(found, out)

    settings: Mapping[str, str] = {
        "bundle_id": bundle.bundle_id,
        "films": manifest_sha256(films),
    }
    return read_prediction(cached(folder, settings, build))


def _cell(estimate: Estimate) -> str:
    return "-" if estimate.value is None else estimate_cell(estimate)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
