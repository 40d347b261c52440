"""`run_corrections`: predict, correct, fine-tune: what do an annotator's corrections gain?

On phantom films. Hospital B's true boxes are used by the simulated annotator and by the final test
only, not in training and not to choose weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from data_manifests.phantom.case import PhantomOptions
from data_manifests.phantom.generate import SplitShares, build_phantom
from data_manifests.support.atomic import write_text
from data_manifests.support.csv_file import write_csv
from data_manifests.tables.join import join_manifests
from data_manifests.tables.manifest import Manifest, make_manifest, read_manifest, write_manifest
from detector.config import DetectorTrainConfig
from detector.detector import load_detector, read_detector_config
from experiments.core.repeats import concatenated
from experiments.data.annotator import AnnotatorHabits, correct_film
from experiments.methods.inputs import Progress, no_progress
from localize.bundle.bundle import Bundle, load_bundle
from localize.evaluation.evaluate import evaluate
from localize.evaluation.report import Evaluation
from localize.formats.changes import ChangeSummary, summarise_changes
from localize.formats.export import export
from localize.formats.hub.annotations import annotations_of_films
from localize.formats.hub.from_tables import Selection, annotations_from_prediction
from localize.formats.import_boxes import (
    ImportOptions,
    import_boxes,
    imported_info,
    matched_rows,
    placed_films,
)
from localize.formats.registry import read_annotations
from localize.inference.film_list import manifest_films
from localize.inference.options import PredictOptions
from localize.inference.predict_films import predict_films
from localize.pipeline.cached import cached
from localize.pipeline.stages import train_detector_stage
from localize.prediction.tables import Prediction, read_prediction, write_prediction

CPU = torch.device("cpu")
FORMAT = "cvat"
# Other phantom series than the quickstart's own: films that no training has seen.
REVIEW_SERIES, TEST_SERIES = 1000, 2000
ARMS = ("source", "uncorrected", "corrected")


@dataclass(frozen=True)
class CorrectionsSize:
    """Films of hospital B to review and to test on, the export's selection of boxes, and the length
    of each detector's fine-tuning."""

    films_review: int = 240
    films_test: int = 400
    min_score: float = 0.1
    max_boxes: int = 3
    epochs: int = 4
    epoch_films: int = 160

    def selection(self) -> Selection:
        """The boxes that the annotator gets."""
        return Selection(min_score=self.min_score, max_boxes=self.max_boxes)

    def training(self, seed: int) -> DetectorTrainConfig:
        """Fine-tuning of the first model's detector: the same number of steps for all arms."""
        return DetectorTrainConfig(
            seed=seed,
            epochs=self.epochs,
            epoch_films=self.epoch_films,
            lr=5e-4,
            lr_backbone=5e-4,
            warmup_steps=10,
            ema_decay=0.95,
        )


@dataclass(frozen=True)
class CorrectionsResult:
    """The annotator's changes (by first model), and each arm on the test films of all first models.

    Arms, each fine-tuned from the first model's detector: `source` on A's boxes, `uncorrected` on
    A's and the boxes as predicted, `corrected` on A's and the boxes as corrected.
    """

    changes: Sequence[ChangeSummary]
    evaluations: dict[str, Evaluation]
    against_uncorrected: Evaluation


def run_corrections(
    first_models: Sequence[Path],
    out: Path,
    *,
    size: CorrectionsSize,
    habits: AnnotatorHabits,
    progress: Progress = no_progress,
) -> CorrectionsResult:
    """Run the loop for each first model; finished parts in `out` are not redone.

    Args:
        first_models: output folders of `pneumoloc quickstart`; each is corrected and tested on
            films of its own.
        out: output folder.
        size: number of films and length of fine-tuning.
        habits: the annotator's.
        progress: gets a line for each step.
    """
    changes, tests = [], []
    predictions: dict[str, list[Prediction]] = {arm: [] for arm in ARMS}
    for number, first in enumerate(first_models):
        folder = out / f"round_{number}"
        px = int(read_manifest(first / "hospital_a").info.options["size"] or 0)
        review, test = (
            _films_of_b(folder / name, px, series + number, films, val)
            for name, series, films, val in (
                ("review", REVIEW_SERIES, size.films_review, 0.2),
                ("test", TEST_SERIES, size.films_test, 0.0),
            )
        )
        progress(f"{first}: prediction of {len(review.images)} films of B, and corrections")
        bundle = load_bundle(first / "bundle")
        summary = _correct(bundle, folder, review, size, habits, seed=number)
        progress(summary.to_markdown())
        changes.append(summary)
        tests.append(test)
        for arm in ARMS:
            progress(f"{first}: detector '{arm}'")
            run = _tuned(first, folder, arm, size.training(seed=number))
            predictions[arm].append(_detector_alone(bundle, run, test))
    truth = tests[0] if len(tests) == 1 else join_manifests(tests)
    pooled = {arm: concatenated(parts) for arm, parts in predictions.items()}
    return CorrectionsResult(
        changes=changes,
        evaluations={
            arm: evaluate(found, truth, baseline=None if arm == "source" else pooled["source"])
            for arm, found in pooled.items()
        },
        against_uncorrected=evaluate(pooled["corrected"], truth, baseline=pooled["uncorrected"]),
    )


def _films_of_b(folder: Path, px: int, series: int, films: int, val: float) -> Manifest:
    """New films of hospital B."""
    options = PhantomOptions(size=px, domain="B", seed=series)
    shares = SplitShares(val=val, test=0.0)
    settings = {"px": px, "series": series, "films": films, "val": val}
    cached(folder, settings, lambda out: build_phantom(out, options, films=films, shares=shares))
    return read_manifest(folder)


def _correct(
    bundle: Bundle,
    folder: Path,
    review: Manifest,
    size: CorrectionsSize,
    habits: AnnotatorHabits,
    *,
    seed: int,
) -> ChangeSummary:
    """Predict, export, let the annotator correct, import; writes the manifests of both arms."""
    cached(
        folder / "prediction",
        {"bundle_id": bundle.bundle_id},
        lambda out: write_prediction(
            predict_films(bundle, manifest_films(review), PredictOptions(), CPU), out
        ),
    )
    prediction = read_prediction(folder / "prediction")
    sent = annotations_from_prediction(prediction, size.selection())
    export(sent, FORMAT, folder / "sent.xml")
    random = np.random.default_rng(seed)
    truth = dict(zip(review.images["image_id"], review.images["path"], strict=True))
    boxes = {path: review.boxes_of(image_id).xyxy for image_id, path in truth.items()}
    # A hospital's manifest before annotation: films, no boxes.
    bare = make_manifest(review.images, info=review.info, root=review.root)
    films = read_annotations(folder / "sent.xml", FORMAT, bare)
    corrected = [
        correct_film(film, boxes[film.name], habits, random)
        for film in placed_films(films, matched_rows(films, bare), bare)
    ]
    export(annotations_of_films(corrected), FORMAT, folder / "returned.xml")
    returned = read_annotations(folder / "returned.xml", FORMAT, bare)
    arms = (("uncorrected", films, "sent.xml"), ("corrected", returned, "returned.xml"))
    for name, back, source in arms:
        options = ImportOptions(annotator="simulated", only_imported=True)
        place = folder / f"review_{name}"
        imported = import_boxes(back, bare, options=options)
        write_manifest(imported_info(imported, folder / source, FORMAT, place), place)
    summary = summarise_changes(sent, returned, bare, annotator="simulated")
    write_text(folder / "changes.json", summary.to_json())
    write_csv(folder / "changes.csv", summary.table)
    return summary


def _tuned(first: Path, folder: Path, arm: str, training: DetectorTrainConfig) -> Path:
    """The detector of an arm; its validation films come from the same source as its training."""
    films = read_manifest(first / "hospital_a")
    if arm != "source":
        films = join_manifests([films, read_manifest(folder / f"review_{arm}")])
    return train_detector_stage(
        films,
        folder / f"detector_{arm}",
        config=read_detector_config(first / "detector"),
        training=training,
        initial=first / "detector",
        device=CPU,
    )


def _detector_alone(bundle: Bundle, run: Path, films: Manifest) -> Prediction:
    """Boxes of a detector without a localizer: ranked and scored by its own scores."""
    detector = load_detector(run)
    swapped = replace(bundle, detector=detector.model, detector_config=detector.config)
    return predict_films(swapped, manifest_films(films), PredictOptions(ranking="detector"), CPU)
