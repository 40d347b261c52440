"""`phantom_table2`, `open_table2`: which prediction and which scores table 2 is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from data_manifests.support.csv_file import read_text_csv
from data_manifests.tables.manifest import Manifest
from detector.run.provenance import manifest_sha256
from experiments.core.films_run import films_road, prepare_films
from experiments.core.open_run import covid_prediction, open_input
from experiments.core.phantom_run import PhantomResult, planted_attributes
from experiments.core.presets import FilmsPreset, PhantomPreset
from experiments.tables.attributes import attribute_references, attribute_rows
from experiments.tables.severity_figure import SeverityPoints, severity_points
from experiments.tables.table2 import SeverityRow, Table2, Target
from experiments.tables.zones import zone_rows
from localize.prediction.tables import Prediction
from localize.severity.agreement import evaluate_severity

COHEN = Target("severity", "Cohen, geographic extent", 8.0)
OPEN_TARGETS = (
    COHEN,
    Target("covidnet_geographic", "COVID-Net, geographic extent", 8.0),
    Target("brixia_S_Global", "Brixia, global", 18.0),
)
PHANTOM_TARGET = Target("severity", "planted extent", 8.0)


def phantom_table2(result: PhantomResult, method: str, preset: PhantomPreset) -> Table2:
    """Of the pooled test films of hospital B; severity and attributes are known as planted."""
    prediction, truth = result.predictions[method], result.truth
    planted = planted_attributes(truth)
    return Table2(
        dataset="phantom hospital B, test",
        severity=severity_rows(prediction, truth, (PHANTOM_TARGET,)),
        points=[severity_points(prediction, truth, PHANTOM_TARGET.column, PHANTOM_TARGET.name)],
        attributes=attribute_rows(prediction, truth, planted),
        references=attribute_references(prediction, truth, planted),
        attribute_truth="what was planted, whatever the report says",
        provenance={"method": method, **preset.model_dump(mode="json")},
        data={"test": manifest_sha256(truth)},
    )


def open_table2(
    data: Path,
    reports: Path,
    out: Path,
    *,
    preset: FilmsPreset,
    method: str,
    backbone_weights: Path | None,
    device: torch.device,
) -> Iterator[str | Table2]:
    """Of the COVID films: severity of all that are scored, attributes of test films with a note.

    Severity models are judged out of fold. Some scored films are among those whose notes trained
    the attributes; no score was.
    """
    found = open_input(data, reports, out)
    yield from prepare_films(
        found.films, out, preset=preset, backbone_weights=backbone_weights, device=device
    )
    yield f"prediction of all COVID films: {method}"
    road = films_road(
        found.films, out, preset=preset, backbone_weights=backbone_weights, device=device
    )
    prediction = covid_prediction(road, found.covid, preset, method)
    said = found.covid.split("test")
    said = said.subset(said.images["study_id"].isin(set(said.reports["study_id"])))
    told, states = subset_prediction(prediction, said), read_text_csv(out / "mined/attributes.csv")
    yield Table2(
        dataset="COVID films",
        severity=severity_rows(prediction, found.covid, OPEN_TARGETS),
        points=expert_points(prediction, found.covid, OPEN_TARGETS),
        attributes=attribute_rows(told, said, states),
        references=attribute_references(told, said, states),
        attribute_truth="what the clinical note says (mined from real text; silence counts as no)",
        provenance={"method": method, **preset.model_dump(mode="json")},
        data={"covid": manifest_sha256(found.covid)},
        zones=zone_rows(prediction, found.covid, seed=0),
    )


def expert_points(
    prediction: Prediction, films: Manifest, targets: Sequence[Target]
) -> list[SeverityPoints]:
    """The points of experts' scores; the axes say whose."""
    return [
        severity_points(prediction, films, target.column, f"expert: {target.name}")
        for target in targets
    ]


def subset_prediction(prediction: Prediction, films: Manifest) -> Prediction:
    """The rows of the films of a manifest."""
    kept = set(films.images["image_id"])
    images, boxes, attributes = (
        table[table["image_id"].isin(kept)].reset_index(drop=True)
        for table in (prediction.images, prediction.boxes, prediction.attributes)
    )
    return Prediction(images, boxes, attributes, prediction.info)


def severity_rows(
    prediction: Prediction, truth: Manifest, targets: tuple[Target, ...]
) -> list[SeverityRow]:
    """Every severity score of the prediction against every target, out of fold."""
    return [
        SeverityRow(target, fit)
        for target in targets
        for fit in evaluate_severity(prediction, truth, column=target.column, seed=0)
    ]
