"""`run_corrections`: predict, correct, train again: what do an annotator's corrections gain?

On phantom films. The true boxes of hospital B's films here are seen by the simulated annotator and
by the final test alone; no training and no choice of weights looks at them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from data_manifests.phantom.case import PhantomOptions
from data_manifests.phantom.generate import SplitShares, build_phantom
from data_manifests.support.atomic import write_text
from data_manifests.support.csv_file import write_csv
from data_manifests.tables.join import join_manifests
from data_manifests.tables.manifest import Manifest, make_manifest, read_manifest, write_manifest
from detector.boxed_films import BoxedFilms
from detector.config import DetectorTrainConfig
from detector.detector import load_detector, read_detector_config
from detector.train_from_config import train_from_config
from experiments.data.annotator import AnnotatorHabits, correct_film
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
from localize.prediction.tables import Prediction, read_prediction, write_prediction

CPU = torch.device("cpu")
FORMAT = "cvat"
# Films of other phantom series than the quickstart's own: nobody has seen them.
REVIEW_SERIES, TEST_SERIES = 1000, 2000
ARMS = ("source", "uncorrected", "corrected")
FINISHED = "finished"


@dataclass(frozen=True)
class CorrectionsSize:
    """How many films of hospital B are reviewed and tested, which boxes the annotator gets, and how
    long detectors are tuned.

    `min_score` and `max_boxes` are those of the export.
    """

    films_review: int = 240
    films_test: int = 400
    min_score: float = 0.1
    max_boxes: int = 3
    epochs: int = 4
    epoch_films: int = 160

    def selection(self) -> Selection:
        """The boxes that go out."""
        return Selection(min_score=self.min_score, max_boxes=self.max_boxes)

    def training(self, seed: int) -> DetectorTrainConfig:
        """How the first model's detector is tuned: the same number of steps for all arms."""
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
    """Who changed what (by first model), and each arm on the test films of all first models.

    Arms, each tuned from the first model's detector: `source` on A's boxes, `uncorrected` on A's
    and the boxes that went to the annotator, `corrected` on A's and what came back.
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
) -> Iterator[str | CorrectionsResult]:
    """Yields progress lines and at the end the result; finished parts in `out` are kept.

    Args:
        first_models: folders that `pneumoloc quickstart` has written; each is corrected and tested
            on films of its own.
        out: work folder.
        size: how much is done.
        habits: the annotator's.
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
        yield f"{first}: prediction of {len(review.images)} films of B, and corrections"
        bundle = load_bundle(first / "bundle")
        summary = _correct(bundle, folder, review, size, habits, seed=number)
        yield summary.to_markdown()
        changes.append(summary)
        tests.append(test)
        for arm in ARMS:
            yield f"{first}: detector '{arm}'"
            run = _tuned(first, folder, arm, size.training(seed=number))
            predictions[arm].append(_detector_alone(bundle, run, test))
    truth = tests[0] if len(tests) == 1 else join_manifests(tests)
    pooled = {arm: _pooled(parts) for arm, parts in predictions.items()}
    yield CorrectionsResult(
        changes=changes,
        evaluations={
            arm: evaluate(found, truth, baseline=None if arm == "source" else pooled["source"])
            for arm, found in pooled.items()
        },
        against_uncorrected=evaluate(pooled["corrected"], truth, baseline=pooled["uncorrected"]),
    )


def _films_of_b(folder: Path, px: int, series: int, films: int, val: float) -> Manifest:
    """Fresh films of hospital B."""
    if (folder / "manifest.json").exists():
        return read_manifest(folder)
    options = PhantomOptions(size=px, domain="B", seed=series)
    return build_phantom(folder, options, films=films, shares=SplitShares(val=val, test=0.0))


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
    if not (folder / "prediction" / "prediction.json").exists():
        found = predict_films(bundle, manifest_films(review), PredictOptions(), CPU)
        write_prediction(found, folder / "prediction")
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
    """The detector of an arm; its validation films come from where its training films do."""
    run = folder / f"detector_{arm}"
    if (run / FINISHED).exists():
        return run
    films = read_manifest(first / "hospital_a")
    if arm != "source":
        films = join_manifests([films, read_manifest(folder / f"review_{arm}")])
    train_from_config(
        BoxedFilms.of(films),
        run,
        config=read_detector_config(first / "detector"),
        training=training,
        initial=first / "detector",
        device=CPU,
    )
    write_text(run / FINISHED, "")
    return run


def _detector_alone(bundle: Bundle, run: Path, films: Manifest) -> Prediction:
    """Boxes of a detector without a localizer: ranked and scored by its own scores."""
    detector = load_detector(run)
    swapped = replace(bundle, detector=detector.model, detector_config=detector.config)
    return predict_films(swapped, manifest_films(films), PredictOptions(ranking="detector"), CPU)


def _pooled(parts: Sequence[Prediction]) -> Prediction:
    """The predictions of all seeds; phantom film ids are unique over seeds."""
    return Prediction(
        pd.concat([part.images for part in parts], ignore_index=True),
        pd.concat([part.boxes for part in parts], ignore_index=True),
        pd.concat([part.attributes for part in parts], ignore_index=True),
        parts[0].info,
    )
