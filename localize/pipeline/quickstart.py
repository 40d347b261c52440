"""`run_quickstart`: the whole road on phantom films, from nothing to boxes to look at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from attributes.lexicon.load import LEXICON_FOLDER, load_lexicon
from attributes.mine import mine_reports
from attributes.reports import ReportReader
from attributes.vectors.word_vectors import (
    VectorOptions,
    train_word_vectors,
    write_word_vectors,
)
from data_manifests.phantom.case import PhantomOptions
from data_manifests.phantom.generate import SplitShares, build_phantom
from data_manifests.support.atomic import write_text
from data_manifests.support.errors import DataError
from data_manifests.tables.manifest import Manifest, read_manifest
from detector.config import DetectorConfig, DetectorTrainConfig, Precision
from detector.detector import load_detector, read_detector_config
from detector.propose import propose_store
from detector.train import train_detector
from localize.bundle.bundle import load_bundle
from localize.bundle.shipped import SHIPPED_BUNDLE
from localize.evaluation.bootstrap import Estimate
from localize.evaluation.evaluate import evaluate
from localize.formats.hub.annotations import annotations_from_prediction
from localize.formats.hub.export import export
from localize.network.config import LocalizeTrainConfig
from localize.pipeline.make_bundle import make_bundle
from localize.prediction.predict_films import PredictOptions, manifest_films, predict_films
from localize.prediction.tables import write_prediction
from localize.training.from_folders import train_on_folders
from localize.training.settings import LocalizerSettings
from localize.viewing.gallery.build import build_gallery

VALIDATION_FILMS = 100  # at most, of each hospital
EXPORTS = (("coco", "boxes.coco.json"), ("label-studio", "boxes.label-studio.json"))


@dataclass(frozen=True)
class QuickstartSize:
    """How much is made and trained; the default takes minutes on two cores."""

    films_a: int = 300
    films_b: int = 400
    film_px: int = 160
    model_px: int = 128
    detector_epochs: int = 12
    detector_batch: int = 8
    localizer_epochs: int = 25
    shift: float = 1.0  # how far hospital B is from A
    precision: Precision = "auto"


def run_quickstart(out: Path, *, seed: int, size: QuickstartSize | None = None) -> Iterator[str]:
    """Build, train, predict, evaluate, export; yields lines to print, the last say where to look.

    Hospital A has films with boxes, hospital B films with reports. Every step's folder is what the
    command of that step would write. A run that was interrupted goes on where it was.

    Raises:
        DataError: `out` holds something else.
    """
    size = size or QuickstartSize()
    if out.exists() and any(out.iterdir()) and not (out / "hospital_a").exists():
        raise DataError(f"{out}: expected an empty folder or an earlier quickstart; choose --out")
    device, start = torch.device("cpu"), time.monotonic()
    yield f"1/6 phantom films with boxes (A: {size.films_a}), 2/6 detector on their boxes"
    learn_boxes(out, seed=seed, size=size)
    yield (
        f"3/6 phantom films with reports (B: {size.films_b}), their attributes, word vectors and "
        f"regions ({_minutes(start)})"
    )
    b = read_pairs(out, out / "detector", seed=seed, size=size)
    yield f"4/6 attention on B's film-report pairs ({_minutes(start)})"
    training = LocalizeTrainConfig(seed=seed, epochs=size.localizer_epochs)
    train_on_folders(
        b,
        out / "rois",
        out / "attributes",
        out / "words",
        out / "localizer",
        settings=LocalizerSettings(training=training),
        device=device,
    )
    bundle_folder = bundle_of(out, out / "localizer", out / "bundle", device)
    yield f"5/6 prediction of B's test films, without text ({_minutes(start)})"
    yield from _predict(out, bundle_folder, b.split("test"), device)
    yield f"done in {_minutes(start)}. Look at:"
    yield f"  {out / 'prediction' / 'gallery.html'}   films with boxes, true boxes and attributes"
    yield f"  {out / 'evaluation.md'}   all metrics with intervals, against the detector alone"
    for name, file in EXPORTS:
        yield f"  {out / file}   boxes for {name}"
    yield f"  {bundle_folder}   the model, for `pneumoloc predict FILMS --model ... --out DIR`"


def small_detector(size: QuickstartSize, seed: int) -> tuple[DetectorConfig, DetectorTrainConfig]:
    """The package's detector at the size of the films, and how it is fine-tuned."""
    lr = 7e-4 * (size.detector_batch / 8) ** 0.5
    shipped = read_detector_config(SHIPPED_BUNDLE)
    return (
        shipped.model_copy(update={"image_size": size.model_px}),
        DetectorTrainConfig(
            seed=seed,
            epochs=size.detector_epochs,
            batch_size=size.detector_batch,
            lr=lr,
            lr_backbone=0.7 * lr,
            ema_decay=0.99,
            warmup_steps=20,
            precision=size.precision,
        ),
    )


def learn_boxes(out: Path, *, seed: int, size: QuickstartSize) -> None:
    """Hospital A in `out/hospital_a`, and a detector trained on its boxes in `out/detector`.

    It starts from the package's detector, which knows real chest films: from random weights a few
    hundred films teach too little.
    """
    a = build_phantom(
        out / "hospital_a",
        PhantomOptions(size=size.film_px, domain="A", seed=seed),
        films=size.films_a,
        shares=SplitShares(val=min(0.25, VALIDATION_FILMS / size.films_a), test=0.0),
    )
    config, training = small_detector(size, seed)
    train_detector(
        a.split("train"),
        a.split("val"),
        out / "detector",
        config=config,
        training=training,
        initial=SHIPPED_BUNDLE,
        device=torch.device("cpu"),
    )


def read_pairs(out: Path, detector: Path, *, seed: int, size: QuickstartSize) -> Manifest:
    """Hospital B in `out/hospital_b`, its `attributes`, `words` and `rois` by a detector."""
    b = build_phantom(
        out / "hospital_b",
        PhantomOptions(size=size.film_px, domain="B", shift=size.shift, seed=seed),
        films=size.films_b,
        shares=SplitShares(val=min(0.2, VALIDATION_FILMS / size.films_b), test=0.25),
    )
    _mine(out, seed)
    _propose(out, detector, b, torch.device("cpu"))
    return b


def _mine(out: Path, seed: int) -> None:
    lexicon = load_lexicon("en")
    mine_reports(out / "hospital_b", out / "attributes", lexicon=lexicon, workers=1)
    words = train_word_vectors(
        ReportReader(out / "hospital_b"), lexicon, VectorOptions(dim=64, epochs=30, seed=seed)
    )
    write_word_vectors(words, out / "words")


def _propose(out: Path, detector: Path, films: Manifest, device: torch.device) -> None:
    propose_store(load_detector(detector), films, out / "rois", device=device)


def bundle_of(quickstart: Path, run: Path, bundle: Path, device: torch.device) -> Path:
    """The bundle of a localizer `run` of a quickstart folder, made where it is not there yet."""
    if not bundle.exists():
        make_bundle(
            bundle,
            detector_run=quickstart / "detector",
            localizer_run=run,
            words=quickstart / "words",
            lexicon=LEXICON_FOLDER / "en.yaml",
            validation=read_manifest(quickstart / "hospital_a").split("val"),
            severity_films=read_manifest(quickstart / "hospital_b").split("train"),
            severity_column="severity",
            training_data="phantom films of the quickstart",
            device=device,
        )
    return bundle


def _predict(out: Path, bundle_folder: Path, test: Manifest, device: torch.device) -> Iterator[str]:
    bundle, films = load_bundle(bundle_folder), manifest_films(test)
    prediction = predict_films(bundle, films, PredictOptions(), device)
    baseline = predict_films(bundle, films, PredictOptions(ranking="detector"), device)
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
