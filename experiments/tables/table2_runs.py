"""`phantom_table2`, `open_table2`: the prediction and scores that table 2 is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_manifests.support.csv_file import read_text_csv
from data_manifests.support.errors import ConfigError
from data_manifests.tables.manifest import Manifest
from detector.run.provenance import manifest_sha256
from experiments.core.manifest_run import ManifestRun
from experiments.core.phantom_run import PhantomResult, planted_attributes
from experiments.core.phantom_seed import DATASET
from experiments.core.presets import PhantomPreset
from experiments.methods.inputs import Progress, TestSet, no_progress
from experiments.methods.method import method_predictions
from experiments.tables.attributes import attribute_references, attribute_rows
from experiments.tables.severity_figure import SeverityPoints, severity_points
from experiments.tables.table2 import COVID, TARGETS, SeverityRow, Table2, Target
from experiments.tables.zones import zone_rows
from localize.prediction.tables import Prediction
from localize.severity.agreement import evaluate_severity


@dataclass(frozen=True)
class Table2Result:
    """The table, and the points of its figure."""

    table: Table2
    points: Sequence[SeverityPoints]


def phantom_table2(
    result: PhantomResult, method: str, preset: PhantomPreset, command: str
) -> Table2Result:
    """Of the test films of hospital B, whose severity and attributes are planted."""
    prediction, truth = result.predictions[method][0], result.truth
    planted, (target,) = planted_attributes(truth), TARGETS[DATASET]
    table = Table2(
        command=command,
        dataset=DATASET,
        severity=severity_rows(prediction, truth, TARGETS[DATASET]),
        attributes=attribute_rows(prediction, truth, planted),
        references=attribute_references(prediction, truth, planted),
        provenance={"method": method, **preset.model_dump(mode="json")},
        data={"test": manifest_sha256(truth)},
    )
    points = severity_points(prediction, truth, target.column, target.name)
    return Table2Result(table, [points])


def open_table2(
    covid: TestSet,
    run: ManifestRun,
    *,
    method: str,
    command: str,
    progress: Progress = no_progress,
) -> Table2Result:
    """Of all COVID films of a run: severity of the scored ones, attributes of test films with a
    note.

    Severity models are evaluated out of fold. Some scored films were trained on with their notes,
    none with its score.

    Raises:
        ConfigError: the preset has no such method.
    """
    methods = {one.name: one for one in run.preset.methods}
    if method not in methods:
        raise ConfigError(f"--method: expected one of {', '.join(methods)}, got {method!r}")
    inputs, films = run.inputs(progress), covid.films
    progress(f"prediction of all COVID films: {method}")
    prediction = method_predictions(methods[method], inputs, covid)[0]
    noted = films.split("test")
    noted = noted.subset(noted.images["study_id"].isin(set(noted.reports["study_id"])))
    of_noted = subset_prediction(prediction, set(noted.images["image_id"]))
    mined = read_text_csv(inputs.parts.attributes / "attributes.csv")
    table = Table2(
        command=command,
        dataset=COVID,
        severity=severity_rows(prediction, films, TARGETS[COVID]),
        attributes=attribute_rows(of_noted, noted, mined),
        references=attribute_references(of_noted, noted, mined),
        provenance={"method": method, **run.preset.model_dump(mode="json")},
        data={"covid": manifest_sha256(films)},
        zones=zone_rows(prediction, films, seed=0),
    )
    return Table2Result(table, expert_points(prediction, films, TARGETS[COVID]))


def expert_points(
    prediction: Prediction, films: Manifest, targets: Sequence[Target]
) -> list[SeverityPoints]:
    """The points of each expert's scores."""
    return [
        severity_points(prediction, films, target.column, f"expert: {target.name}")
        for target in targets
    ]


def subset_prediction(prediction: Prediction, image_ids: set[str]) -> Prediction:
    """The rows of some films."""
    images, boxes, attributes = (
        table[table["image_id"].isin(image_ids)].reset_index(drop=True)
        for table in (prediction.images, prediction.boxes, prediction.attributes)
    )
    return Prediction(images, boxes, attributes, prediction.info)


def severity_rows(
    prediction: Prediction, truth: Manifest, targets: Sequence[Target]
) -> list[SeverityRow]:
    """Every severity score of the prediction against every target, out of fold."""
    return [
        SeverityRow(target, fit)
        for target in targets
        for fit in evaluate_severity(prediction, truth, column=target.column, seed=0)
    ]
