"""`evaluate`: a prediction against a manifest, every metric with its patient-bootstrap interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_manifests.support.arrays import Floats, Ints
from data_manifests.support.errors import DataError, Problem
from data_manifests.tables.manifest import Manifest
from localize.evaluation.aligned_prediction import AlignedPrediction, align
from localize.evaluation.average_precision import COCO_THRESHOLDS, average_precision_measure
from localize.evaluation.bootstrap import bootstrap_values, estimates
from localize.evaluation.film_boxes import FilmBoxes
from localize.evaluation.froc import froc_measure
from localize.evaluation.hits import iobb_measure, pointing_measure
from localize.evaluation.measure import Measure
from localize.evaluation.paired_films import PairedFilms, pair_films, true_films
from localize.evaluation.probability import attribute_measure, probability_measure
from localize.evaluation.report import Evaluation, FilmCounts, MetricRow
from localize.evaluation.rsna_score import best_score_threshold, rsna_measure
from localize.evaluation.top_k_recall import box_recall_measure, union_recall_measure
from localize.prediction.prediction_folder import PredictedFilms

IOU_THRESHOLDS: Floats = np.array([0.25, 0.5, 0.75])
FROC_THRESHOLDS = (0.25, 0.5)


@dataclass(frozen=True)
class EvaluationOptions:
    """Box scores from which a box counts for the RSNA score, IoBB and AFP; at 0 all boxes count.

    Choose them on validation films (`choose_score_threshold`), each for its own prediction.
    """

    score_threshold: float = 0.0
    baseline_score_threshold: float = 0.0


def evaluate(
    prediction: PredictedFilms,
    manifest: Manifest,
    *,
    seed: int = 0,
    replicates: int = 1000,
    baseline: PredictedFilms | None = None,
    targets: pd.DataFrame | None = None,
    options: EvaluationOptions | None = None,
) -> Evaluation:
    """Compare a prediction with the boxes and labels of a manifest.

    Films that the prediction or the baseline skipped take no part in any metric and are listed. A
    positive or unlabelled film without boxes has unknown boxes and takes no part in box metrics.

    Args:
        prediction: of exactly the films of the manifest.
        manifest: films with `boxes`, and `labels.pneumonia` (0/1/blank) where known.
        seed, replicates: of the patient bootstrap; 0 replicates give no intervals.
        baseline: another prediction of the same films; adds its values and paired differences.
        targets: a table with `study_id` or `image_id` and a column for each keyword; adds the
            attribute metrics. See `localize.evaluation.attribute_targets`.
        options: see `EvaluationOptions`.

    Raises:
        DataError: the prediction and the manifest have different films, a number is missing, or
            no film is left.
    """
    films = pair_films(
        prediction, manifest.images, true_films(manifest), baseline=baseline, targets=targets
    )
    return bootstrap_films(measure_films(films, options), seed=seed, replicates=replicates)


@dataclass(frozen=True)
class MeasuredFilms:
    """The metrics of one or two predictions of the same films as functions of film weights.

    Boxes are not needed any more. `patients` (I,) is the number of each film's patient; `largest`
    the longest array that the metrics of each prediction work on.
    """

    measures: tuple[tuple[Measure, ...], ...]
    patients: Ints
    largest: tuple[int, ...]
    counts: FilmCounts
    options: EvaluationOptions


def measure_films(films: PairedFilms, options: EvaluationOptions | None = None) -> MeasuredFilms:
    """Match the boxes of each prediction with the true ones.

    Raises:
        DataError: a film that counts has no probability.
    """
    options = options or EvaluationOptions()
    thresholds = (options.score_threshold, options.baseline_score_threshold)
    truth, target = films.truth, films.truth.target
    measures, largest = [], []
    for one, known, threshold in zip(films.predictions, films.attributes, thresholds, strict=False):
        boxes = truth.film_boxes(one)
        largest.append(max(len(boxes.pred_xyxy), len(target)))
        measures.append(tuple(_measures(one, boxes, target, known, threshold)))
    return MeasuredFilms(
        measures=tuple(measures),
        patients=truth.patients,
        largest=tuple(largest),
        counts=FilmCounts(
            evaluated=len(target),
            patients=int(truth.patients.max()) + 1,
            with_boxes=int((boxes.true_counts() > 0).sum()),
            true_boxes=len(boxes.true_xyxy),
            boxes_unknown=int((~boxes.is_known).sum()),
            pneumonia=int((target == 1).sum()),
            no_pneumonia=int((target == 0).sum()),
            skipped=films.skipped,
        ),
        options=options,
    )


def bootstrap_films(films: MeasuredFilms, *, seed: int = 0, replicates: int = 1000) -> Evaluation:
    """Plain values and intervals of the metrics; see `evaluate`."""
    results = []
    for measures, largest in zip(films.measures, films.largest, strict=True):
        values = bootstrap_values(
            measures, films.patients, replicates=replicates, seed=seed, largest=largest
        )
        results.append(pd.DataFrame(values, columns=[k for m in measures for k in m.keys]))
    options = films.options
    return Evaluation(
        rows=_rows(results),
        films=films.counts,
        seed=seed,
        replicates=replicates,
        score_threshold=options.score_threshold,
        baseline_score_threshold=(
            None if len(films.measures) == 1 else options.baseline_score_threshold
        ),
    )


def choose_score_threshold(prediction: PredictedFilms, manifest: Manifest) -> float:
    """The box score threshold with the highest RSNA score; give validation films, never test ones.

    Raises:
        DataError: as `evaluate`.
    """
    aligned = align(prediction, manifest.images["image_id"])
    truth = true_films(manifest).subset(aligned.is_ok)
    return best_score_threshold(truth.film_boxes(aligned.subset(aligned.is_ok)))


def film_boxes(prediction: PredictedFilms, manifest: Manifest) -> FilmBoxes:
    """Predicted and true boxes as a `FilmBoxes`, films in the order of the manifest.

    Raises:
        DataError: as `evaluate`.
    """
    return true_films(manifest).film_boxes(align(prediction, manifest.images["image_id"]))


def _measures(
    prediction: AlignedPrediction,
    boxes: FilmBoxes,
    target: Floats,
    known: Floats | None,
    score_threshold: float,
) -> list[Measure]:
    """All metrics of one prediction.

    `known` are the targets of the attributes, (I, K), if there are any.
    """
    of_films = _film_measures(prediction, target, known)  # first: boxes take memory later
    top_k, chosen = boxes.first(boxes.true_counts()), boxes.above(score_threshold)
    return [
        box_recall_measure("iou", top_k, IOU_THRESHOLDS),
        union_recall_measure("union_iou", boxes.first(1), IOU_THRESHOLDS),
        box_recall_measure("best_iou", boxes, IOU_THRESHOLDS),
        union_recall_measure("best_union_iou", boxes, IOU_THRESHOLDS),
        _coco_measure(boxes),
        rsna_measure(boxes, score_threshold),
        *(froc_measure(boxes, threshold) for threshold in FROC_THRESHOLDS),
        iobb_measure(chosen),
        pointing_measure(boxes),
        *of_films,
    ]


def _film_measures(
    prediction: AlignedPrediction, target: Floats, known: Floats | None
) -> list[Measure]:
    measures = []
    p_pneumonia = prediction.p_pneumonia
    if not np.isnan(p_pneumonia).all():
        _check_probabilities("images.csv", "p_pneumonia", p_pneumonia, target)
        measures.append(probability_measure("film", p_pneumonia, target))
    if known is not None:
        keywords = prediction.keywords
        probabilities = prediction.attributes
        for column, name in enumerate(keywords):
            _check_probabilities("attributes.csv", name, probabilities[:, column], known[:, column])
        if keywords:
            measures.append(attribute_measure(keywords, probabilities, known))
    return measures


def _coco_measure(boxes: FilmBoxes) -> Measure:
    """AP at IOU_THRESHOLDS and its mean over .5:.05:.95, from one matching."""
    ap = average_precision_measure(boxes, np.concatenate([IOU_THRESHOLDS, COCO_THRESHOLDS]))
    count = len(IOU_THRESHOLDS)

    def values(weights: Floats) -> Floats:
        columns = ap.values(weights)
        mean = columns[:, count:].mean(axis=1, keepdims=True)
        return np.concatenate([columns[:, :count], mean], axis=1)

    return Measure((*ap.keys[:count], "ap_50_95"), values)


def _rows(results: list[pd.DataFrame]) -> tuple[MetricRow, ...]:
    """One row a metric; with a baseline also its value and the paired difference."""
    own = dict(zip(results[0].columns, estimates(results[0].to_numpy()), strict=True))
    if len(results) == 1:
        return tuple(MetricRow(key, estimate) for key, estimate in own.items())
    other = dict(zip(results[1].columns, estimates(results[1].to_numpy()), strict=True))
    shared = [key for key in results[0].columns if key in other]
    differences = results[0][shared].to_numpy() - results[1][shared].to_numpy()
    paired = dict(zip(shared, estimates(differences), strict=True))
    return tuple(
        MetricRow(key, estimate, other.get(key), paired.get(key)) for key, estimate in own.items()
    )


def _check_probabilities(file: str, field: str, probability: Floats, target: Floats) -> None:
    """Raise where a film that counts has no probability in [0, 1]."""
    inside = (probability >= 0) & (probability <= 1)  # NaN is not
    bad = np.flatnonzero(np.isfinite(target) & ~inside)
    if len(bad):
        raise DataError.from_problems(
            [
                Problem(
                    f"prediction {file}",
                    "a probability in [0, 1] for each film",
                    f"{len(bad)} films without, the first with {probability[bad[0]]}",
                    field=field,
                )
            ]
        )
