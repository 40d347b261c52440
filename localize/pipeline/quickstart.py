"""`run_quickstart`: all stages on phantom films, from nothing to a page with predicted boxes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import torch

from data_manifests.support.atomic import write_text
from data_manifests.support.errors import DataError
from data_manifests.tables.manifest import Manifest, read_manifest
from localize.bundle.bundle import load_bundle
from localize.evaluation.bootstrap import Estimate
from localize.evaluation.evaluate import evaluate
from localize.formats.export import export
from localize.formats.hub.from_tables import annotations_from_prediction
from localize.inference.film_list import manifest_films
from localize.inference.options import PredictOptions
from localize.inference.predict_films import predict_films
from localize.network.config import LocalizeTrainConfig
from localize.pipeline.phantom_stages import PhantomSize, hospital_a_stage, hospital_b_stage
from localize.pipeline.stages import PairParts, train_bundle_stage
from localize.prediction.tables import write_prediction
from localize.training.settings import LocalizerSettings
from localize.viewing.gallery.build import build_gallery

EXPORTS = (("coco", "boxes.coco.json"), ("label-studio", "boxes.label-studio.json"))
CPU = torch.device("cpu")


def run_quickstart(out: Path, *, seed: int, size: PhantomSize | None = None) -> Iterator[str]:
    """Build, train, predict, evaluate, export; yields lines to print, the last say where to look.

    Hospital A has films with boxes, hospital B films with reports. Every step's folder is what the
    command of that step would write. An interrupted run resumes.

    Raises:
        DataError: `out` holds something else.
        ConfigError: `out` holds a quickstart of another seed or size.
    """
    size = size or PhantomSize()
    if out.exists() and any(out.iterdir()) and not (out / "hospital_a").exists():
        raise DataError(f"{out}: expected an empty folder or an earlier quickstart; choose --out")
    start = time.monotonic()
    yield f"1/6 phantom films with boxes (A: {size.films_a}), 2/6 detector on their boxes"
    detector = hospital_a_stage(out, seed=seed, size=size)
    yield (
        f"3/6 phantom films with reports (B: {size.films_b}), their attributes, word vectors and "
        f"regions ({_minutes(start)})"
    )
    films = hospital_b_stage(out, detector, seed=seed, size=size)
    yield f"4/6 attention on B's film-report pairs ({_minutes(start)})"
    parts = PairParts(
        detector=detector,
        rois=out / "rois",
        attributes=out / "attributes",
        words=out / "words",
        pairs=films,
        validation=read_manifest(out / "hospital_a").split("val"),
        severity=films.split("train"),
        training_data="phantom films of the quickstart",
    )
    training = LocalizeTrainConfig(seed=seed, epochs=size.localizer_epochs)
    bundle = train_bundle_stage(
        parts, out, settings=LocalizerSettings(training=training), device=CPU
    )
    yield f"5/6 prediction of B's test films, without text ({_minutes(start)})"
    yield from _predict(out, bundle, films.split("test"))
    yield f"done in {_minutes(start)}. Look at:"
    yield f"  {out / 'prediction' / 'gallery.html'}   films with boxes, true boxes and attributes"
    yield f"  {out / 'evaluation.md'}   all metrics with intervals, against the detector alone"
    for name, file in EXPORTS:
        yield f"  {out / file}   boxes for {name}"
    yield f"  {bundle}   the model, for `pneumoloc predict FILMS --model ... --out DIR`"


def _predict(out: Path, bundle_folder: Path, test: Manifest) -> Iterator[str]:
    bundle, films = load_bundle(bundle_folder), manifest_films(test)
    prediction = predict_films(bundle, films, PredictOptions(), CPU)
    baseline = predict_films(bundle, films, PredictOptions(ranking="detector"), CPU)
    write_prediction(prediction, out / "prediction")
    write_prediction(baseline, out / "prediction_detector_alone")
    result = evaluate(prediction, test, baseline=baseline)
    write_text(out / "evaluation.json", result.to_json())
    write_text(out / "evaluation.md", result.to_markdown())
    yield "6/6 exports and gallery"
    for name, file in EXPORTS:
        export(annotations_from_prediction(prediction), name, out / file)
    build_gallery(
        prediction,
        {film.image_id: film.file for film in films},
        out / "prediction" / "gallery.html",
        manifest=test,
    )
    yield "        IoU@.25 IoU@.5 IoU@.75 of true boxes found (k = number of true boxes)"
    rows = {row.key: row for row in result.rows}
    for name, side in (("localizer", "estimate"), ("detector alone", "baseline")):
        values = [getattr(rows[f"iou_at_{t}"], side) for t in ("0.25", "0.5", "0.75")]
        yield f"  {name:<15}" + "  ".join(_value(value) for value in values)


def _value(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return "-".center(6)
    return f"{estimate.value:.3f} "


def _minutes(start: float) -> str:
    seconds = time.monotonic() - start
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"
