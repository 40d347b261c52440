"""`evaluate_uses`: what the lung fields gain where they are used, against the average film."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch

from data_manifests.tables.manifest import Manifest
from detector.lungs.packaged import load_segmenter
from detector.run.provenance import manifest_sha256
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
from experiments.lungs.fields_of_films import fields_of_films
from experiments.lungs.places import PlaceRow, place_rows
from experiments.lungs.roi_prior import PriorRow, prior_rows
from experiments.lungs.write_results import LungFiles, write_results
from experiments.tables.rows import estimate_cell
from localize.bundle.bundle import load_bundle
from localize.bundle.packaged import PACKAGED_BUNDLE
from localize.evaluation.bootstrap import Estimate
from localize.inference.film_list import manifest_films
from localize.inference.options import PredictOptions
from localize.inference.predict_films import predict_films
from localize.pipeline.cached import cached
from localize.prediction.tables import Prediction, read_prediction, write_prediction

COMMAND = "pneumoloc experiment lungs uses --data DATA --out WORK --results docs/results"
SEED = 0


@dataclass(frozen=True)
class UseResults:
    """All tables; `severity_difference` is of Pearson's r, lung fields minus halves."""

    places: Sequence[PlaceRow]
    zones: Sequence[ZoneTable]
    severity: Sequence[SeverityRow]
    severity_difference: Estimate
    prior: Sequence[PriorRow]


def evaluate_uses(data: Path, work: Path, device: torch.device) -> UseResults:
    """Measure the uses with the package's bundle, whose predictions are kept in `work`.

    Raises:
        DataError: a missing table, film or mask.
    """
    segmenter = load_segmenter(device=device)
    masked = [film for film in lung_films(data) if film.split == "test" and film.group == COVID]
    covid = covid_films(data)
    scored = _scored_or_masked(covid, {film.image_id for film in masked})
    predicted = _predicted(scored, work / "covid", device)
    fields = fields_of_films(segmenter, scored)
    severity, difference = severity_rows(predicted, scored, fields, seed=SEED)
    validation = validation_films(box_films(data))
    boxed = validation.subset(
        validation.images["source"].isin([*TEST_GROUPS["rsna"], *TEST_GROUPS["siim"]])
    )
    return UseResults(
        places=place_rows(predicted, masked, fields, seed=SEED),
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


def write_use_results(results: UseResults, data: Path, folder: Path) -> str:
    """Write `lungs-uses.json` and `lungs-uses.md` into `folder`; returns the page."""
    files = LungFiles(folder, "lungs-uses", COMMAND, SEED, data)
    return write_results(files, asdict(results), use_page(results))


def use_page(results: UseResults) -> str:
    """The page of all tables."""
    lines = [
        "# Uses of lung fields",
        "",
        f"```\n{COMMAND}\n```",
        "",
        "Brackets: 95 % intervals of a bootstrap over patients.",
    ]
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
